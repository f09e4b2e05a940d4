"""Read cameras of this machine through V4L2: /dev/videoN, or a name under /dev/v4l/by-id."""

import logging
import os
import threading
import time
from pathlib import Path

import cv2

from face_app.common import settings
from face_app.common.errors import SourceError
from face_app.edge.sources.decoder import LiveCapture, OpenCVCapture
from face_app.edge.sources.gstreamer import prepare_pipeline
from face_app.edge.sources.jetson import mjpg_pipeline
from face_app.edge.sources.live import LiveSource

log = logging.getLogger(__name__)

MAX_AGE = 2.0
"""Seconds. A driver's timestamp that is older, or in the future, belongs to another clock, or the driver has computed a
frame's end."""
RATE_TOLERANCE = 0.05
"""Deviation from the requested rate, as a share of it, that is not reported."""


class DeviceCapture(OpenCVCapture):
    """Reads a device. The driver's timestamps are used if they are plausible."""

    def grab(self) -> bool:
        """Advance to the next frame. V4L2 drivers use the monotonic clock for its timestamp."""
        grabbed = super().grab()
        driver_time = self.media_time
        if 0 <= time.monotonic() - driver_time <= MAX_AGE:
            self.timestamp = driver_time
        return grabbed


def open_device(path: Path, camera: settings.Camera, stop: threading.Event) -> LiveSource:
    """Prepare a camera of this machine as a source; it may be plugged in later.

    Args:
        path: The device, or a link to it.
        camera: Size, rate, format and decoder.
        stop: Ends the run.

    Raises:
        SourceError: A Jetson's decoder is set, and GStreamer cannot be used.
    """
    if camera.decoder == "nvidia" and camera.pixel_format == "mjpg":
        open_pipeline = prepare_pipeline(str(path), mjpg_pipeline(camera), camera, stop, {"device": str(path)})

        def connect() -> LiveCapture:
            _check_access(path)
            return open_pipeline()
    else:

        def connect() -> LiveCapture:
            _check_access(path)
            capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
            if not capture.isOpened():
                # After a silence our own previous reader may still use it: OpenCV's read returns after 10 s.
                raise SourceError(f"{path}: gives no video; is another program using it, or is it not a camera?")
            request_format(capture, camera)
            log_granted_format(str(path), capture, camera)
            return DeviceCapture(capture)

    return LiveSource(str(path), camera, stop, connect)


def _check_access(path: Path) -> None:
    if not path.exists():
        raise SourceError(f"{path}: no such camera; plug it in, pass it into the container, or set camera.source")
    if not os.access(path, os.R_OK | os.W_OK):
        raise SourceError(f"{path}: not allowed to use this camera; let the user {os.getuid()} into its group")


def request_format(capture: cv2.VideoCapture, camera: settings.Camera) -> None:
    """Request what is set; without a size, OpenCV has requested 640 x 480 already.

    The pixel format comes first, because sizes and rates depend on it.
    """
    if camera.pixel_format:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*camera.pixel_format.upper()))
    if camera.width and camera.height:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, camera.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, camera.height)
    if camera.fps:
        capture.set(cv2.CAP_PROP_FPS, camera.fps)


def log_granted_format(name: str, capture: cv2.VideoCapture, camera: settings.Camera) -> None:
    """Log the format that the camera uses, and warn if it is not the requested one."""
    width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    fps = capture.get(cv2.CAP_PROP_FPS)
    fourcc = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("ascii", "replace")
    refused = []
    if camera.width and (camera.width, camera.height) != (width, height):
        refused.append(f"{camera.width} x {camera.height}")
    if camera.fps and abs(camera.fps - fps) > RATE_TOLERANCE * camera.fps:
        refused.append(f"{camera.fps:.4g} fps")
    if camera.pixel_format and camera.pixel_format.upper() != fourcc.upper():
        refused.append(camera.pixel_format.upper())
    granted = f"{width} x {height}, {fps:.4g} fps, {fourcc}"
    if refused:
        log.warning("%s gives %s; asked for %s (v4l2-ctl --list-formats-ext)", name, granted, ", ".join(refused))
    else:
        log.info("%s gives %s", name, granted)
