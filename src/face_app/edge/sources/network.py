"""Read network cameras: RTSP or HTTP, decoded by FFmpeg or by a Jetson."""

import os
import threading

import cv2

from face_app.common import settings
from face_app.common.errors import SourceError
from face_app.edge.sources.address import printable_address
from face_app.edge.sources.decoder import OpenCVCapture, open_ffmpeg
from face_app.edge.sources.gstreamer import prepare_pipeline
from face_app.edge.sources.jetson import RTSP_PIPELINE
from face_app.edge.sources.live import LiveSource

SCHEMES = {"http", "https", "rtsp", "rtsps"}


def stream_source(address: str, camera: settings.Camera, stop: threading.Event) -> LiveSource:
    """Return a source for a stream; its server need not run yet.

    Args:
        address: URL, with user and password if needed.
        camera: Decoder, and timeout of a read.
        stop: Event that ends the run.

    Raises:
        SourceError: The decoder of a Jetson is set, but GStreamer cannot be used.
    """
    name = printable_address(address)
    timeout_ms = round(camera.read_timeout * 1000)
    if camera.decoder == "nvidia" and address.lower().startswith("rtsp"):
        properties = {"location": address, "tcp-timeout": timeout_ms * 1000}  # microseconds
        return LiveSource(name, camera, stop, prepare_pipeline(name, RTSP_PIPELINE, camera, stop, properties))
    # By default OpenCV may use UDP, where a lost packet makes a frame undecodable.
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")

    def connect() -> OpenCVCapture:
        timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_ms]
        capture = open_ffmpeg(address, timeouts)
        if not capture.isOpened():
            raise SourceError(f"{name}: no video stream; check address, password, network and camera")
        return OpenCVCapture(capture)

    return LiveSource(name, camera, stop, connect)
