"""Live sources: opened again when lost, never blocking, the newest frame first. A real HTTP stream plays the camera."""

import logging
import socket
import threading
import time
from itertools import islice

import numpy as np
import pytest

from face_app import settings
from face_app.edge import opencv
from face_app.edge.figures import MISSED, SKIPPED
from face_app.edge.sources.choose import choose_source
from face_app.edge.sources.live import LEAVE, Live
from services.mjpeg_camera import mjpeg_camera
from services.ports import free_port

opencv.set_up()


def source(address, stop, **camera):
    return choose_source(settings.Camera(source=address, **{"reopen_max": 0.2, "read_timeout": 5, **camera}), stop)


@pytest.fixture
def stop():
    event = threading.Event()
    yield event
    event.set()


def test_frames_of_a_stream(stop):
    with mjpeg_camera(free_port()) as address, source(address, stop) as camera:
        frames = list(islice(camera, 10))
    assert camera.length is None
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})
    assert [frame.elapsed for frame in frames] == sorted({frame.elapsed for frame in frames})
    assert frames[0].image.shape == (48, 64, 3)


def test_a_slow_program_gets_the_newest_frame_and_the_others_are_counted(stop):
    before = MISSED._value.get()
    with mjpeg_camera(free_port(), rate=100) as address, source(address, stop) as camera:
        indexes = []
        for frame in camera:
            indexes.append(frame.index)
            if len(indexes) == 5:
                break
            time.sleep(0.3)
    gaps = np.diff(indexes)
    assert gaps[1:].min() > 5
    missed = MISSED._value.get() - before
    assert missed >= indexes[-1] - 4
    assert missed <= camera.count - 5 <= missed + 1, "each but the last, which nobody asked for, is given or missed"


def test_a_camera_gives_no_more_than_is_wanted(stop):
    skipped, missed = SKIPPED._value.get(), MISSED._value.get()
    with mjpeg_camera(free_port(), rate=50) as address, source(address, stop) as camera:
        camera.interval = 0.2
        frames = list(islice(camera, 6))
        count = camera.count
    assert np.diff([frame.elapsed for frame in frames]).min() > 0.1
    assert np.diff([frame.elapsed for frame in frames]).mean() == pytest.approx(0.2, abs=0.05)
    left_out = frames[-1].index + 1 - len(frames)
    assert left_out > 10
    assert count > frames[-1].index
    assert left_out <= SKIPPED._value.get() - skipped + MISSED._value.get() - missed


def test_a_stream_that_ends_is_opened_again(stop, caplog):
    with mjpeg_camera(free_port(), frames=8) as address, source(address, stop) as camera:
        frames = list(islice(camera, 30))
    assert len({frame.index for frame in frames}) == 30
    assert "gives no more frames; trying again" in caplog.text


def test_a_camera_that_comes_late_is_waited_for(stop, caplog):
    port = free_port()
    frames = []

    def watch():
        with source(f"http://someone:secret@127.0.0.1:{port}/stream", stop) as camera:
            frames.extend(islice(camera, 3))

    watcher = threading.Thread(target=watch)
    watcher.start()
    time.sleep(1)
    assert not frames
    assert "does not answer with video; check address" in caplog.text
    assert "secret" not in caplog.text
    with mjpeg_camera(port):
        watcher.join(10)
    assert len(frames) == 3


def test_a_camera_that_falls_silent_is_given_up_and_opened_again(stop, caplog):
    with (
        mjpeg_camera(free_port(), frames=5, hang=True) as address,
        source(address, stop, read_timeout=1) as camera,
    ):
        started = time.monotonic()
        frames = list(islice(camera, 8))
    assert len(frames) == 8
    assert time.monotonic() - started < 8
    assert "trying again" in caplog.text


def test_a_read_that_never_returns_is_left_behind(stop, caplog, monkeypatch):
    """Some drivers hang for ever inside a read; OpenCV has no time-out for them."""
    monkeypatch.setattr("face_app.edge.sources.live.GRACE", 0.1)

    class Hanging:
        at = 0.0

        def grab(self):
            stop.wait()
            return False

        def retrieve(self):
            return None

        def release(self):
            pass

    threading.Timer(1.5, stop.set).start()
    opened = []
    camera = Live(
        "camera", settings.Camera(read_timeout=0.2, reopen_max=0.1), stop, lambda: opened.append(1) or Hanging()
    )
    assert list(camera) == []
    assert len(opened) >= 2
    assert "camera has given no frame for 0 s; trying again" in caplog.text


@pytest.mark.parametrize("silent", [False, True], ids=["no server", "a server that says nothing"])
def test_stop_is_noticed_while_there_is_no_frame(stop, silent):
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/" if silent else "http://127.0.0.1:9/"
        threading.Timer(1, stop.set).start()
        started = time.monotonic()
        with source(address, stop, read_timeout=30, reopen_max=30) as camera:
            assert list(camera) == []
            assert time.monotonic() - started < 2
        assert time.monotonic() - started < 2 + LEAVE


def test_a_missing_device_names_what_to_check(stop, caplog):
    caplog.set_level(logging.WARNING)
    threading.Timer(0.5, stop.set).start()
    with source("/dev/video99", stop) as camera:
        assert list(camera) == []
    assert "/dev/video99: no such camera; plug it in" in caplog.text


def test_a_device_that_is_no_camera(stop, caplog):
    threading.Timer(0.5, stop.set).start()
    with source("/dev/null", stop) as camera:
        assert list(camera) == []
    assert "/dev/null: gives no video" in caplog.text
