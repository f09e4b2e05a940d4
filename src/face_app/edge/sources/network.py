"""A camera in the network: RTSP or HTTP, decoded by FFmpeg or by a Jetson."""

import os
import threading

import cv2

from face_app.common import settings
from face_app.common.errors import SourceError
from face_app.edge.sources import jetson
from face_app.edge.sources.gstreamer import pipeline
from face_app.edge.sources.live import Live
from face_app.edge.sources.videocapture import VideoCapture, open_ffmpeg

SCHEMES = {"http", "https", "rtsp", "rtsps"}


def masked(address: str) -> str:
    """Leave out of an address what the log must never show: user, password and query.

    A password may hold what belongs escaped, so all before the last @ goes before anything is split.
    """
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


def stream(address: str, camera: settings.Camera, stop: threading.Event) -> Live:
    """Watch a stream; its server may come later.

    Raises:
        SourceError: A Jetson's decoder is asked for, and GStreamer cannot be used.
    """
    name = masked(address)
    timeout = round(camera.read_timeout * 1000)
    if camera.decoder == "nvidia" and address.lower().startswith("rtsp"):
        properties = {"location": address, "tcp-timeout": timeout * 1000}
        return Live(name, camera, stop, pipeline(name, jetson.RTSP, camera, stop, properties))
    # OpenCV's own choice falls back to UDP, where a lost packet is a broken picture.
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")

    def connect() -> VideoCapture:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout, cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout]
        capture = open_ffmpeg(address, limits)
        if not capture.isOpened():
            raise SourceError(f"{name}: does not answer with video; check address, password, network and camera")
        return VideoCapture(capture)

    return Live(name, camera, stop, connect)
