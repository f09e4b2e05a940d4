"""Live sources reopen, never block and yield the latest frame. A real HTTP stream is the camera."""

import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from itertools import islice

import cv2
import numpy as np
import pytest

from face_app.common import settings
from face_app.common.errors import SourceError
from face_app.edge.image import set_up_opencv
from face_app.edge.metrics import MISSED, SKIPPED, UNDECODABLE
from face_app.edge.sources.decoder import OpenCVCapture, open_ffmpeg
from face_app.edge.sources.live import CLOSE_TIMEOUT, LiveSource
from face_app.edge.sources.open_source import open_source
from faults.clocks import build_clock
from support.mjpeg_camera import jpeg, mjpeg_camera
from support.ports import free_port
from support.waiting import until

set_up_opencv()

DETAILED = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))[1].tobytes()
BLANK = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()


def source(address, stop, **camera):
    return open_source(settings.Camera(source=address, **{"reopen_max": 0.2, "read_timeout": 5, **camera}), stop)


def test_yields_frames_of_a_stream(stop):
    with mjpeg_camera(free_port()) as address, source(address, stop) as camera:
        frames = list(islice(camera, 10))
    assert camera.length is None
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})
    assert [frame.elapsed for frame in frames] == sorted({frame.elapsed for frame in frames})
    assert frames[0].image.shape == (48, 64, 3)


def test_a_slow_program_gets_the_latest_frame_and_the_others_are_counted(stop):
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
    assert missed <= camera.count - 5 <= missed + 1, "each frame but the last is yielded or missed"


def test_yields_frames_at_the_interval(stop):
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


def test_grabs_but_never_converts_skipped_frames(stop):
    converted = []

    class Counting(OpenCVCapture):
        def retrieve(self):
            converted.append(1)
            return super().retrieve()

    with mjpeg_camera(free_port()) as address:
        camera = LiveSource("camera", settings.Camera(), stop, lambda: Counting(open_ffmpeg(address)))
        camera.interval = 0.3
        with camera:
            frames = []
            for frame in camera:
                frames.append(frame)
                if frame.index > 20:
                    break
    assert len(frames) < frames[-1].index, "none was skipped"
    assert len(converted) <= len(frames) + 1


def test_a_long_interval_is_no_timeout(stop, caplog, monkeypatch):
    monkeypatch.setattr("face_app.edge.sources.live.TIMEOUT_GRACE", 0.1)
    with mjpeg_camera(free_port()) as address, source(address, stop, read_timeout=0.5) as camera:
        camera.interval = 2.0
        first, second = islice(camera, 2)
    assert second.elapsed - first.elapsed > 1.9
    assert "trying again" not in caplog.text


def test_reports_each_loss(stop):
    seconds_of_frames = []

    def on_loss(seconds):
        seconds_of_frames.append(seconds)
        if len(seconds_of_frames) == 3:
            stop.set()

    def connect():
        if len(seconds_of_frames) == 1:
            raise SourceError("camera: does not open")
        return OpenCVCapture(open_ffmpeg(address))

    with (
        mjpeg_camera(free_port(), frames=20) as address,
        LiveSource("camera", settings.Camera(reopen_max=0.1), stop, connect, on_loss) as camera,
    ):
        assert list(camera)
    assert seconds_of_frames[0] > 0.1
    assert seconds_of_frames[1] == 0
    assert seconds_of_frames[2] > 0.1


def test_reopens_a_stream_that_ends(stop, caplog):
    with mjpeg_camera(free_port(), frames=8) as address, source(address, stop) as camera:
        frames = list(islice(camera, 30))
    assert len({frame.index for frame in frames}) == 30
    assert "gives no more frames; trying again" in caplog.text


def test_waits_for_a_camera_that_starts_late(stop, caplog):
    port = free_port()
    frames = []

    def watch():
        with source(f"http://someone:secret@127.0.0.1:{port}/stream", stop) as camera:
            frames.extend(islice(camera, 3))

    watcher = threading.Thread(target=watch)
    watcher.start()
    until(lambda: "no video stream; check address" in caplog.text)
    assert not frames
    assert "secret" not in caplog.text
    with mjpeg_camera(port):
        watcher.join(90)
    assert len(frames) == 3


def test_masks_a_password_in_the_path_at_each_attempt(stop, stop_at, caplog):
    stop_at("no video stream; check address", count=2)
    address = f"http://127.0.0.1:{free_port()}/user=admin&password=S3cret&channel=1&stream=0.sdp"
    with source(address, stop, reopen_max=0.2) as camera:
        assert list(camera) == []
    assert "no video stream; check address" in caplog.text
    assert "S3cret" not in caplog.text


def test_reopens_a_camera_that_falls_silent(stop, caplog):
    with (
        mjpeg_camera(free_port(), frames=5, hang=True) as address,
        source(address, stop, read_timeout=1) as camera,
    ):
        started = time.monotonic()
        frames = list(islice(camera, 8))
    assert len(frames) == 8
    assert time.monotonic() - started < 9.5, "the default time-out is 10 s"
    assert "trying again" in caplog.text


def test_abandons_a_read_that_never_returns(stop, stop_at, caplog, monkeypatch):
    """Some drivers hang for ever inside a read; OpenCV has no timeout for them."""
    monkeypatch.setattr("face_app.edge.sources.live.TIMEOUT_GRACE", 0.1)

    class Hanging:
        timestamp = 0.0

        def grab(self):
            stop.wait()
            return False

        def retrieve(self):
            return None

        def release(self):
            pass

    stop_at("trying again", count=2)
    opened = []
    camera = LiveSource(
        "camera", settings.Camera(read_timeout=0.2, reopen_max=0.1), stop, lambda: opened.append(1) or Hanging()
    )
    assert list(camera) == []
    assert len(opened) >= 2
    assert "camera has given no frame for 0 s; trying again" in caplog.text


def test_reopens_a_camera_that_turned_green(stop, caplog):
    """Each JPEG is cut short, so that FFmpeg fills it with green; after the second connection the JPEGs are intact."""
    calls = 0

    def picture(index):
        nonlocal calls
        calls += index == 0
        return DETAILED if calls > 2 else DETAILED[: len(DETAILED) // 2] + b"\xff\xd9"

    before = UNDECODABLE.labels("filler")._value.get()
    with mjpeg_camera(free_port(), picture=picture) as address, source(address, stop, read_timeout=1) as camera:
        frame = next(iter(camera))
    assert calls >= 3
    assert frame.index > 20
    assert UNDECODABLE.labels("filler")._value.get() - before > 20
    assert "has given only undecodable frames for 1 s; trying again" in caplog.text


def test_reopens_a_camera_whose_pictures_are_blank(stop, caplog):
    calls = 0

    def picture(index):
        nonlocal calls
        calls += index == 0
        return DETAILED if calls > 2 else BLANK

    with mjpeg_camera(free_port(), picture=picture) as address, source(address, stop, read_timeout=1) as camera:
        assert next(iter(camera)).image.any()
    assert caplog.text.count("pictures are blank") == 1
    assert "has given only undecodable frames for 1 s; trying again" in caplog.text


def test_measures_for_how_long_a_picture_is_repeated(stop):
    with mjpeg_camera(free_port(), picture=lambda _: DETAILED) as address, source(address, stop) as camera:
        first, *_, last = islice(camera, 20)
    assert last.unchanged == pytest.approx(last.elapsed - first.elapsed)
    assert last.unchanged > 0.2
    with mjpeg_camera(free_port()) as address, source(address, stop) as camera:
        assert not any(frame.unchanged for frame in islice(camera, 20))


def test_skips_a_few_broken_frames(stop, caplog):
    def picture(index):
        return jpeg(index) if index % 10 != 5 else b"no picture"

    before = UNDECODABLE.labels("undecodable")._value.get()
    with mjpeg_camera(free_port(), picture=picture) as address, source(address, stop, read_timeout=2) as camera:
        frames = list(islice(camera, 50))
    assert len(frames) == 50
    assert UNDECODABLE.labels("undecodable")._value.get() - before >= 3
    assert "trying again" not in caplog.text


def test_accepts_frames_that_change_their_size(stop, caplog):
    caplog.set_level(logging.INFO)
    sizes = [(64, 48), (128, 96)]
    with (
        mjpeg_camera(free_port(), picture=lambda index: jpeg(index, sizes[index // 20 % 2])) as address,
        source(address, stop) as camera,
    ):
        frames = list(islice(camera, 60))
    assert {frame.image.shape for frame in frames} <= {(48, 64, 3), (96, 128, 3)}
    assert len(frames) == 60


CLOCK_JUMPS = """
import os, sys, threading
from itertools import islice
from pathlib import Path
from face_app.common import settings
from face_app.edge.image import set_up_opencv
from face_app.edge.sources.open_source import open_source

set_up_opencv()
with open_source(settings.Camera(source=sys.argv[1]), threading.Event()) as camera:
    for frame in islice(camera, 40):
        print(frame.captured_at.timestamp(), frame.elapsed)
        if frame.index == 10:
            Path(os.environ["CLOCK_SHIFT_FILE"]).write_text("-3600")
"""


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler for the library that sets a process's clock")
def test_a_jump_of_the_wall_clock_does_not_move_the_clock_of_the_source(tmp_path):
    library = build_clock(tmp_path)
    (tmp_path / "clock").write_text("0")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "LD_PRELOAD": str(library),
        "CLOCK_SHIFT_FILE": str(tmp_path / "clock"),
    }
    with mjpeg_camera(free_port()) as address:
        command = [sys.executable, "-c", CLOCK_JUMPS, address]
        out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=180).stdout
    days, elapsed = np.array([line.split() for line in out.splitlines()], float).T
    assert np.diff(days).min() < -3500
    assert (np.diff(elapsed) >= 0).all()
    assert elapsed[-1] < 30


@pytest.mark.parametrize("silent", [False, True], ids=["no server", "a silent server"])
def test_stops_while_no_frame_comes(stop, silent):
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/" if silent else "http://127.0.0.1:9/"
        threading.Timer(1, stop.set).start()
        started = time.monotonic()
        with source(address, stop, read_timeout=30, reopen_max=30) as camera:
            assert list(camera) == []
            # A busy machine takes a while; the time-outs of a read and of the next attempt are 30 s.
            assert time.monotonic() - started < 10
        assert time.monotonic() - started < 10 + CLOSE_TIMEOUT


def test_logs_a_missing_device(stop, stop_at, caplog):
    caplog.set_level(logging.WARNING)
    stop_at("no such camera")
    with source("/dev/video99", stop) as camera:
        assert list(camera) == []
    assert "/dev/video99: no such camera; plug it in" in caplog.text


def test_logs_a_device_that_is_no_camera(stop, stop_at, caplog):
    stop_at("gives no video")
    with source("/dev/null", stop) as camera:
        assert list(camera) == []
    assert "/dev/null: gives no video" in caplog.text
