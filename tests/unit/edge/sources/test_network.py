"""A real RTSP server on the loopback dies, falls silent and comes back."""

import threading
import time
from itertools import islice

import pytest

from face_app.common import settings
from face_app.edge.image import set_up_opencv
from face_app.edge.sources.open_source import open_source
from support.gstreamer import missing_server
from support.ports import free_port
from support.rtsp_camera import rtsp_camera

set_up_opencv()

MISSING = missing_server()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


def source(address, stop, **camera):
    return open_source(settings.Camera(source=address, **{"reopen_max": 0.5, "read_timeout": 2, **camera}), stop)


def test_yields_frames(stop):
    with rtsp_camera(free_port()) as server, source(server.address, stop, read_timeout=10) as camera:
        frames = list(islice(camera, 30))
    assert frames[0].image.shape == (240, 320, 3)
    assert frames[-1].image.max() > 200, "the ball"
    assert frames[-1].elapsed - frames[0].elapsed > 0.3


def test_reopens_when_a_dead_server_comes_back(stop, caplog):
    port = free_port()
    with source(f"rtsp://someone:secret@127.0.0.1:{port}/camera", stop, read_timeout=5) as camera:
        frames = iter(camera)
        with rtsp_camera(port) as server:
            first = last = next(frames)
            server.process.kill()
        with rtsp_camera(port):
            while "trying again" not in caplog.text:
                last = next(frames)
            assert last.elapsed > first.elapsed
            assert last.index > first.index
    assert "secret" not in caplog.text


def test_reopens_when_a_silent_server_continues(stop, caplog):
    """A stopped process keeps its connections, and its kernel accepts new ones; only the timeouts notice."""
    with rtsp_camera(free_port()) as server, source(server.address, stop) as camera:
        frames = iter(camera)
        first = next(frames)

        def thaw():
            while "no video stream" not in caplog.text and not stop.wait(0.1):
                pass
            server.thaw()

        threading.Thread(target=thaw).start()
        server.freeze()
        frozen = time.monotonic()
        frame = next(each for each in frames if "no video stream" in caplog.text)
    assert 4 < time.monotonic() - frozen < 60, "one timeout of the read, one of the next attempt"
    assert frame.index > first.index
    assert "has given no frame" in caplog.text or "gives no more frames" in caplog.text
