"""RTSP: a real server on the loopback that dies, falls silent and comes back."""

import threading
import time
from itertools import islice

import pytest

from face_app import settings
from face_app.edge import opencv
from face_app.edge.sources.choose import choose_source
from services.gstreamer import missing_server
from services.ports import free_port
from services.rtsp_camera import rtsp_camera

opencv.set_up()

pytestmark = pytest.mark.skipif(bool(missing_server()), reason=missing_server())


@pytest.fixture
def stop():
    event = threading.Event()
    yield event
    event.set()


def source(address, stop, **camera):
    return choose_source(settings.Camera(source=address, **{"reopen_max": 0.5, "read_timeout": 2, **camera}), stop)


def test_frames(stop):
    with rtsp_camera(free_port()) as server, source(server.address, stop, read_timeout=10) as camera:
        frames = list(islice(camera, 30))
    assert frames[0].image.shape == (240, 320, 3)
    assert frames[-1].image.max() > 200, "the ball"
    assert frames[-1].elapsed - frames[0].elapsed > 0.3


def test_a_server_that_dies_and_comes_back(stop, caplog):
    port = free_port()
    with source(f"rtsp://someone:secret@127.0.0.1:{port}/camera", stop, read_timeout=5) as camera:
        frames = iter(camera)
        with rtsp_camera(port) as server:
            first = next(frames)
            server.process.kill()
        with rtsp_camera(port):
            while "trying again" not in caplog.text:
                last = next(frames)
            assert last.elapsed > first.elapsed
            assert last.index > first.index
    assert "secret" not in caplog.text


def test_a_server_that_falls_silent_and_goes_on(stop, caplog):
    with rtsp_camera(free_port()) as server, source(server.address, stop) as camera:
        frames = iter(camera)
        next(frames)
        server.freeze()
        frozen = time.monotonic()
        threading.Timer(6, server.thaw).start()
        while "trying again" not in caplog.text:
            last = next(frames)
            assert time.monotonic() - frozen < 30
        assert next(frames).index > last.index
    assert "has given no frame" in caplog.text or "gives no more frames" in caplog.text
    assert "does not answer with video" in caplog.text, "the server was asked anew while it was silent"
