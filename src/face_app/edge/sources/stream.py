"""A camera in the network: RTSP or HTTP through FFmpeg."""

import threading
from urllib.parse import urlsplit

import cv2

from face_app import settings
from face_app.edge.sources.live import Live
from face_app.errors import SourceError

SCHEMES = {"http", "https", "rtsp", "rtsps"}


def stream(address: str, camera: settings.Camera, stop: threading.Event) -> Live:
    """Watch a stream; its server may come later. The log never shows the address's user and password."""
    parts = urlsplit(address)
    name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    timeout = round(camera.read_timeout * 1000)

    def connect() -> cv2.VideoCapture:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout, cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout]
        capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, limits)
        if not capture.isOpened():
            raise SourceError(f"{name}: does not answer with video; check address, password, network and camera")
        return capture

    return Live(name, camera, stop, connect)
