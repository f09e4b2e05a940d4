"""Ids, topics, keys and receipts say the same thing at both ends."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from face_app.common.errors import MessageError
from face_app.common.settings import EdgeSettings
from face_app.common.wire import (
    RESERVED,
    FaceId,
    FaceTopic,
    Receipt,
    dump_receipts,
    face_of_key,
    load_receipts,
    object_key,
)

FACE = FaceId("0badcafe", 42)
SHA = "ab" * 32


def test_id_is_32_hex_digits_and_reads_back():
    assert str(FACE) == "0badcafe00000000000000000000002a"
    assert FaceId.parse(str(FACE)) == FACE


@pytest.mark.parametrize("text", ["", "0badcafe", "0BADCAFE00000000000000000000002A", "z" * 32, "0" * 33])
def test_other_ids_are_refused(text):
    with pytest.raises(MessageError):
        FaceId.parse(text)


def test_key_is_in_utc_whatever_the_zone_of_the_capture_time():
    east = datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    key = object_key(FaceTopic("jetson", "door"), FACE, east, SHA, "jpg")
    assert key == "jetson/door/2025/12/31/22/face-0badcafe-000000042-abababababab.jpg"
    assert face_of_key(key) == FACE


@pytest.mark.parametrize("key", ["test/seed/x.jpg", "jetson/door/2025/12/31/22/", "quarantine/empty/ab.bin"])
def test_other_objects_are_no_face(key):
    assert face_of_key(key) is None


@pytest.mark.parametrize(
    "topic",
    [
        "face_app",
        "face_app/a",
        "face_app/a/b/c",
        "face_app/../b",
        "face_app/a/.",
        "face_app//b",
        "x/a/b",
        "face_app/a/b\n",
    ],
)
def test_foreign_topics_are_refused(topic):
    with pytest.raises(MessageError):
        FaceTopic.parse(topic)


@pytest.mark.parametrize("count", [1, 3])
def test_receipts_read_back(count):
    at = datetime(2026, 11, 22, 18, 0, tzinfo=timezone.utc)
    receipts = [Receipt(FaceId("0badcafe", n + 1), SHA, "k", at, "stored") for n in range(count)]
    assert load_receipts(dump_receipts(receipts)) == receipts


def test_a_refusal_may_have_no_id():
    receipt = Receipt(None, SHA, "quarantine/empty/x.bin", datetime.now(timezone.utc), "refused", "empty")
    assert load_receipts(dump_receipts([receipt])) == [receipt]


def test_an_unknown_result_leaves_the_other_receipts_of_a_message():
    at = datetime(2026, 11, 22, 18, 0, tzinfo=timezone.utc)
    receipts = [Receipt(FaceId("0badcafe", n), SHA, "k", at, "stored") for n in range(1, 4)]
    message = dump_receipts(receipts).replace(b'"stored"', b'"moved-away"', 1)
    assert load_receipts(message) == receipts[1:]
    with pytest.raises(MessageError):
        load_receipts(message.replace(b'"moved-away"', b'["moved-away"]'))


@given(
    st.binary() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda value: repr(value).encode())
)
def test_any_other_payload_is_no_receipt(payload):
    try:
        receipts = load_receipts(payload)
    except MessageError:
        return
    assert receipts == []


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_no_edge_has_the_name_of_another_prefix(name):
    with pytest.raises(MessageError, match="reserved-name"):
        FaceTopic.parse(f"face_app/{name}/door")
    assert FaceTopic.parse(f"face_app/jetson/{name}").camera == name
    with pytest.raises(ValidationError, match="choose another name"):
        EdgeSettings(edge=name)
