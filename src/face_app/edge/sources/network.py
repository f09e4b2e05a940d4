"""Read network cameras: RTSP or HTTP, decoded by FFmpeg or by a Jetson."""

import os
import threading

import cv2

from face_app.common import settings
from face_app.common.errors import SourceError
from face_app.edge.sources.decoder import OpenCVCapture, open_ffmpeg
from face_app.edge.sources.gstreamer import prepare_pipeline
from face_app.edge.sources.jetson import RTSP_PIPELINE
from face_app.edge.sources.live import LiveSource

SCHEMES = {"http", "https", "rtsp", "rtsps"}


def mask_credentials(address: str) -> str:
    """Remove user, password and query from an address, so that it can be logged.

    A password may contain unescaped separators, so everything before the last @ is removed first.
    """
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


def open_stream(address: str, camera: settings.Camera, stop: threading.Event) -> LiveSource:
    """Prepare a stream as a source; its server may start later.

    Args:
        address: URL, with user and password if needed.
        camera: Decoder, and timeout of a read.
        stop: Ends the run.

    Raises:
        SourceError: A Jetson's decoder is set, and GStreamer cannot be used.
    """
    name = mask_credentials(address)
    timeout = round(camera.read_timeout * 1000)
    if camera.decoder == "nvidia" and address.lower().startswith("rtsp"):
        properties = {"location": address, "tcp-timeout": timeout * 1000}
        return LiveSource(name, camera, stop, prepare_pipeline(name, RTSP_PIPELINE, camera, stop, properties))
    # OpenCV's default falls back to UDP, where a lost packet breaks a picture.
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")

    def connect() -> OpenCVCapture:
        timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout, cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout]
        capture = open_ffmpeg(address, timeouts)
        if not capture.isOpened():
            raise SourceError(f"{name}: does not answer with video; check address, password, network and camera")
        return OpenCVCapture(capture)

    return LiveSource(name, camera, stop, connect)
