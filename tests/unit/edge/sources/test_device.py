"""What a camera granted is told. (The device itself needs a kernel with one; a clip has the same figures to read.)"""

import logging
import time

import cv2
import numpy as np
import pytest

from face_app.common import settings
from face_app.edge.image import set_up_opencv
from face_app.edge.sources.device import Device, ask, log_granted_format
from services.clips import write_clip

set_up_opencv()


@pytest.fixture
def capture(tmp_path):
    clip = write_clip(tmp_path / "clip.avi", [np.full((48, 64, 3), value, np.uint8) for value in range(5)])
    opened = cv2.VideoCapture(str(clip), cv2.CAP_FFMPEG)
    yield opened
    opened.release()


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({}, "INFO: camera gives 64 x 48, 20 fps, MJPG"),
        ({"width": 64, "height": 48, "fps": 20.5, "pixel_format": "mjpg"}, "INFO: camera gives 64 x 48, 20 fps, MJPG"),
        ({"width": 640, "height": 48}, "WARNING: camera gives 64 x 48, 20 fps, MJPG; asked for 640 x 48"),
        ({"fps": 30}, "WARNING: camera gives 64 x 48, 20 fps, MJPG; asked for 30 fps"),
        (
            {"width": 640, "height": 480, "fps": 29.97, "pixel_format": "yuyv"},
            "WARNING: camera gives 64 x 48, 20 fps, MJPG; asked for 640 x 480, 29.97 fps, YUYV",
        ),
    ],
)
def test_what_is_granted_is_one_line(capture, caplog, asked, line):
    caplog.set_level(logging.INFO)
    camera = settings.Camera(**asked)
    ask(capture, camera)  # a clip grants nothing
    log_granted_format("camera", capture, camera)
    (record,) = caplog.records
    assert f"{record.levelname}: {record.message}".startswith(line)
    assert "asked" in line or "asked" not in record.message


def test_a_time_stamp_of_another_clock_is_not_believed(capture):
    """A clip's time stamps begin at 0, as the monotonic clock does with the machine."""
    device = Device(capture)
    assert time.monotonic() > 10, "the machine has just started"
    before = time.monotonic()
    assert device.grab()
    assert before <= device.at <= time.monotonic()
    assert device.retrieve().shape == (48, 64, 3)
