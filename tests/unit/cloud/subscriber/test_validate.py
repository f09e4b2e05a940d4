"""Every message has one decision, and no message is fatal."""

import hashlib
import io
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from face_app.cloud.stores.store import safe_parts
from face_app.cloud.subscriber.validate import Limits, validate
from face_app.common.metadata import write_metadata
from support.faces import TAKEN, drawn_face, picture

AT = datetime(2026, 11, 22, 23, 59, 59, tzinfo=timezone.utc)
LIMITS = Limits(bytes=100_000, pixels=1_000_000)
FACE = drawn_face()


def decision(topic, payload, at=AT, limits=LIMITS):
    return validate(topic, payload, hashlib.sha256(payload).hexdigest(), at, limits)


def test_stores_a_face_under_the_key_that_its_edge_computes():
    found = decision(FACE.topic, FACE.payload)
    assert (found.key, found.edge, found.face, found.refused) == (FACE.key, "jetson", FACE.id, "")


def test_stores_a_bare_image_of_the_original_homework_by_its_arrival():
    sha256 = hashlib.sha256(picture("PNG")).hexdigest()
    found = decision("face_app/test", picture("PNG"), AT.astimezone(timezone(timedelta(hours=5))))
    assert found.key == f"test/seed/2026/11/22/23/face-{sha256[:12]}.png"
    assert (found.edge, found.face, found.refused) == (None, None, "")


def changed(**values):
    return write_metadata(picture(), FACE.id, replace(FACE.metadata, **values))


def year_three():
    return FACE.payload.replace(b"2026:11:22 18:30:01", b"0003:11:22 18:30:01")


def gif():
    file = io.BytesIO()
    Image.new("L", (9, 9)).save(file, "GIF")
    return file.getvalue()


@pytest.mark.parametrize(
    ("topic", "payload", "reason", "edge", "face"),
    [
        (FACE.topic, b"", "empty", "jetson", None),
        (FACE.topic, b"hello", "not-an-image", "jetson", None),
        (FACE.topic, gif(), "not-an-image", "jetson", None),
        (FACE.topic, FACE.payload[:-200], "not-an-image", "jetson", None),
        (FACE.topic, FACE.payload + b"x" * 100_000, "too-large", "jetson", None),
        (FACE.topic, picture("PNG", 1001), "too-many-pixels", "jetson", None),
        (FACE.topic, picture(), "no-metadata", "jetson", None),
        (FACE.topic, changed(camera="window"), "wrong-camera", "jetson", FACE.id),
        (FACE.topic, changed(edge="other"), "wrong-edge", "jetson", FACE.id),
        (FACE.topic, changed(edge="../x"), "wrong-edge", "jetson", FACE.id),
        (FACE.topic, changed(captured_at=datetime(3, 1, 1, tzinfo=timezone.utc)), "bad-metadata", "jetson", None),
        (FACE.topic, year_three(), "bad-metadata", "jetson", FACE.id),
        ("face_app/jetson/door/more", FACE.payload, "foreign-topic", "jetson", FACE.id),
        ("face_app/jetson/", FACE.payload, "foreign-topic", None, FACE.id),
        ("face_app/jet son/door", FACE.payload, "foreign-topic", None, FACE.id),
        ("face_app/other", FACE.payload, "foreign-topic", None, FACE.id),
        ("face_app/test", b"hello", "not-an-image", None, None),
    ],
)
def test_refuses_invalid_messages(topic, payload, reason, edge, face):
    found = decision(topic, payload)
    assert (found.refused, found.edge) == (reason, edge)
    assert found.face == face
    assert found.key == f"quarantine/{edge or '-'}/{reason}/{hashlib.sha256(payload).hexdigest()}.bin"
    assert found.detail.startswith(reason)
    assert "\n" not in found.detail


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@given(st.data())
def test_damaged_messages_always_have_a_decision_and_a_safe_key(data):
    payload = bytearray(FACE.payload)
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, 700))] = data.draw(st.integers(0, 255))
    topic = data.draw(st.sampled_from([FACE.topic, "face_app/test"]) | st.text(max_size=40).map("face_app/".__add__))
    found = decision(topic, bytes(payload), TAKEN)
    assert safe_parts(found.key)
    assert found.key == FACE.key or found.key.split("/")[0] in {"quarantine", "test", "jetson"}
