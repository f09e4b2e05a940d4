"""A camera of this machine: /dev/videoN, or its name under /dev/v4l/by-id, through V4L2."""

import logging
import os
import threading
import time
from pathlib import Path

import cv2

from face_app.common import settings
from face_app.common.errors import SourceError
from face_app.edge.sources import jetson
from face_app.edge.sources.decoder import LiveCapture
from face_app.edge.sources.gstreamer import pipeline
from face_app.edge.sources.live import Live
from face_app.edge.sources.videocapture import VideoCapture

log = logging.getLogger(__name__)

OLDEST = 2.0
"""Seconds. A driver's time stamp that lies further back, or ahead at all, is of some other clock, or of a frame's end
that a driver has reckoned."""


class Device(VideoCapture):
    """A capture whose frames bear the moment at which the driver had them, where that can be believed."""

    def grab(self) -> bool:
        """Take the next frame; its moment is the driver's, which uses the monotonic clock."""
        there = super().grab()
        stamp = self.stamp
        if 0 <= time.monotonic() - stamp <= OLDEST:
            self.at = stamp
        return there


def device(path: Path, camera: settings.Camera, stop: threading.Event) -> Live:
    """Watch a camera of this machine; it may be plugged in later.

    Raises:
        SourceError: A Jetson's decoder is asked for, and GStreamer cannot be used.
    """
    if camera.decoder == "nvidia" and camera.pixel_format == "mjpg":
        open_pipeline = pipeline(str(path), jetson.mjpg(camera), camera, stop, {"device": str(path)})

        def connect() -> LiveCapture:
            _check(path)
            return open_pipeline()
    else:

        def connect() -> LiveCapture:
            _check(path)
            capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
            if not capture.isOpened():
                # After a silence it may be our own last reader: OpenCV comes back from one after 10 s only.
                raise SourceError(f"{path}: gives no video; is another program using it, or is it not a camera?")
            ask(capture, camera)
            log_granted_format(str(path), capture, camera)
            return Device(capture)

    return Live(str(path), camera, stop, connect)


def _check(path: Path) -> None:
    if not path.exists():
        raise SourceError(f"{path}: no such camera; plug it in, pass it into the container, or set camera.source")
    if not os.access(path, os.R_OK | os.W_OK):
        raise SourceError(f"{path}: not allowed to use this camera; let the user {os.getuid()} into its group")


def ask(capture: cv2.VideoCapture, camera: settings.Camera) -> None:
    """Ask for what is set; where no size is, OpenCV has asked for 640 x 480 already.

    The format comes first: a camera has other sizes and rates in each.
    """
    if camera.pixel_format:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*camera.pixel_format.upper()))
    if camera.width and camera.height:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, camera.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, camera.height)
    if camera.fps:
        capture.set(cv2.CAP_PROP_FPS, camera.fps)


def log_granted_format(name: str, capture: cv2.VideoCapture, camera: settings.Camera) -> None:
    """Log what the camera gives, and warn where something else was asked for; 5 % of the rate is nothing else."""
    width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    fps = capture.get(cv2.CAP_PROP_FPS)
    fourcc = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("ascii", "replace")
    refused = []
    if camera.width and (camera.width, camera.height) != (width, height):
        refused.append(f"{camera.width} x {camera.height}")
    if camera.fps and abs(camera.fps - fps) > 0.05 * camera.fps:
        refused.append(f"{camera.fps:.4g} fps")
    if camera.pixel_format and camera.pixel_format.upper() != fourcc.upper():
        refused.append(camera.pixel_format.upper())
    granted = f"{width} x {height}, {fps:.4g} fps, {fourcc}"
    if refused:
        log.warning("%s gives %s; asked for %s (v4l2-ctl --list-formats-ext)", name, granted, ", ".join(refused))
    else:
        log.info("%s gives %s", name, granted)
