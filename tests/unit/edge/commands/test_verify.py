"""Checks that a test card is stored, or that the reason is reported."""

import hashlib
import os
import signal
import threading
from dataclasses import replace

import pytest

from face_app.common.errors import NotVerifiedError
from face_app.common.metadata import read_image
from face_app.common.settings import EdgeSettings
from face_app.edge.commands import verify
from support.cloud import stored
from support.ports import free_port
from support.waiting import until


def settings(path, port):
    return EdgeSettings(edge="jetson", outbox={"path": path}, broker={"host": "127.0.0.1", "port": port})


def test_a_card_is_stored(path, broker, cloud):
    card = verify.run(settings(path, broker.port), wait=90)
    (face,) = cloud.wait_for(1)
    assert card.id == str(face.id)
    assert card.sha256 == hashlib.sha256(face.payload).hexdigest()
    assert card.key == stored(face).key
    assert card.key.startswith("jetson/verify/")
    assert 0 < card.latency_ms < 20_000
    assert face.metadata.why == "verify"
    assert read_image(face.payload, max_pixels=10**6).size == face.metadata.frame_size


def test_reports_a_missing_receipt(path):
    port = free_port()
    with pytest.raises(NotVerifiedError, match=f"did not arrive within 1 s, and waits: broker 127.0.0.1:{port} is not"):
        verify.run(settings(path, port), wait=1)


def test_reports_a_signal(path):
    default = signal.getsignal(signal.SIGTERM)

    def send():
        until(lambda: signal.getsignal(signal.SIGTERM) != default)  # before, it would end the tests
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=send, daemon=True).start()
    with pytest.raises(NotVerifiedError, match="had not arrived when a signal came, and waits: broker"):
        verify.run(settings(path, free_port()), wait=60)


def test_reports_a_refused_card(path, broker, cloud):
    cloud.answer = lambda face: replace(stored(face), result="refused", reason="foreign-topic")
    with pytest.raises(NotVerifiedError, match=r"refused the test card .*: foreign-topic"):
        verify.run(settings(path, broker.port), wait=90)
