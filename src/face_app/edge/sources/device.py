"""A camera of this machine: /dev/videoN through V4L2."""

import os
import threading
from pathlib import Path

import cv2

from face_app import settings
from face_app.edge.sources.live import Live
from face_app.edge.sources.videocapture import VideoCapture
from face_app.errors import SourceError


def device(path: Path, camera: settings.Camera, stop: threading.Event) -> Live:
    """Watch a camera of this machine; it may be plugged in later."""

    def connect() -> VideoCapture:
        if not path.exists():
            raise SourceError(f"{path}: no such camera; plug it in, pass it into the container, or set camera.source")
        if not os.access(path, os.R_OK | os.W_OK):
            raise SourceError(f"{path}: not allowed to use this camera; let the user {os.getuid()} into its group")
        capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
        if not capture.isOpened():
            raise SourceError(f"{path}: gives no video; is another program using it, or is it not a camera?")
        return VideoCapture(capture)

    return Live(str(path), camera, stop, connect)
