"""The granted format is logged, and a driver's time is checked. A clip replaces the device."""

import logging
import time

import cv2
import numpy as np
import pytest

from face_app.common import settings
from face_app.edge.image import set_up_opencv
from face_app.edge.sources.device import DeviceCapture, log_granted_format, request_format
from support.clips import write_clip

set_up_opencv()


@pytest.fixture
def capture(tmp_path):
    clip = write_clip(tmp_path / "clip.avi", [np.full((48, 64, 3), value, np.uint8) for value in range(5)])
    opened = cv2.VideoCapture(str(clip), cv2.CAP_FFMPEG)
    yield opened
    opened.release()


@pytest.mark.parametrize(
    ("requested", "line"),
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
def test_logs_the_granted_format_on_one_line(capture, caplog, requested, line):
    caplog.set_level(logging.INFO)
    camera = settings.Camera(**requested)
    request_format(capture, camera)  # a clip grants nothing
    log_granted_format("camera", capture, camera)
    (record,) = caplog.records
    assert f"{record.levelname}: {record.message}".startswith(line)
    assert "asked" in line or "asked" not in record.message


def test_ignores_a_timestamp_of_another_clock(capture):
    """The timestamps of a clip begin at 0; the monotonic clock began with the machine."""
    device = DeviceCapture(capture)
    assert time.monotonic() > 10, "the machine has just started"
    before = time.monotonic()
    assert device.grab()
    assert before <= device.timestamp <= time.monotonic()
    assert device.retrieve().shape == (48, 64, 3)
