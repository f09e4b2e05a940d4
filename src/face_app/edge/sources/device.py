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
"""Maximum age of a driver's timestamp, seconds. An older timestamp, or one in the future, is ignored: it is from
another clock, or is not the start of the frame."""
RATE_TOLERANCE = 0.05
"""Maximum deviation from the requested rate, as a share of that rate, that is not reported."""


class DeviceCapture(OpenCVCapture):
    """Reads a device. The timestamps of the driver are used if they are plausible."""

    def grab(self) -> bool:
        """Advance to the next frame. V4L2 drivers take its timestamp from the monotonic clock."""
        grabbed = super().grab()
        driver_time = self.media_time
        if 0 <= time.monotonic() - driver_time <= MAX_AGE:
            self.timestamp = driver_time
        return grabbed


def open_device(path: Path, camera: settings.Camera, stop: threading.Event) -> LiveSource:
    """Return a source for a camera of this machine; the camera may be plugged in later.

    Args:
        path: Device, or a link to the device.
        camera: Size, rate, format and decoder.
        stop: Event that ends the run.

    Raises:
        SourceError: The decoder of a Jetson is set, but GStreamer cannot be used.
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
                # After a timeout, the previous reader may still use the camera: OpenCV's read returns only after 10 s.
                raise SourceError(f"{path}: gives no video; is another program using it, or is it not a camera?")
            request_format(capture, camera)
            log_granted_format(str(path), capture, camera)
            return DeviceCapture(capture)

    return LiveSource(str(path), camera, stop, connect)


def _check_access(path: Path) -> None:
    if not path.exists():
        raise SourceError(f"{path}: no such camera; plug it in, pass it into the container, or set camera.source")
    if not os.access(path, os.R_OK | os.W_OK):
        raise SourceError(f"{path}: not allowed to use this camera; add uid {os.getuid()} to its group")


def request_format(capture: cv2.VideoCapture, camera: settings.Camera) -> None:
    """Request the format that the settings name. If they name no size, OpenCV has requested 640 x 480.

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
    """Log the format that the camera uses; warn if it differs from the requested format."""
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
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
