"""Use the hardware of an NVIDIA Jetson: CSI cameras behind the Argus daemon, decoders for RTSP and Motion JPEG."""

import logging
import threading
import time
from fractions import Fraction
from pathlib import Path

from face_app.common import settings
from face_app.common.errors import SourceError
from face_app.edge.sources.address import printable_address
from face_app.edge.sources.gstreamer import prepare_pipeline
from face_app.edge.sources.live import LiveSource

log = logging.getLogger(__name__)

_TO_BGRX = "nvvidconv ! video/x-raw,format=BGRx"
"""Elements that copy frames from device memory into main memory."""
RTSP_PIPELINE = (
    "rtspsrc name=camera protocols=tcp latency=200 ! application/x-rtp,media=video ! parsebin "
    f"! nvv4l2decoder enable-max-performance=1 ! {_TO_BGRX}"
)
"""Pipeline that decodes H.264 or H.265 over TCP. Set `location` as a property of the element ``camera``."""
STABLE_SECONDS = 60.0
"""Seconds of frames after which a loss counts as the first failure, not as one more in a row."""
MIN_REQUEST_INTERVAL = 60.0
"""Minimum seconds between two restart requests: the daemon and its camera need time to restart."""


def open_csi(address: str, camera: settings.Camera, stop: threading.Event) -> LiveSource:
    """Return a source for a CSI camera.

    Args:
        address: ``csi://`` and the number of the sensor, as nvarguscamerasrc counts them.
        camera: Size and rate to request, and the file that requests a restart of a hanging daemon.
        stop: Event that ends the run.

    Raises:
        SourceError: The number is missing, or GStreamer cannot be used.
    """
    number = address.partition("://")[2]
    if not number.isdecimal():
        raise SourceError(
            f"camera.source = {printable_address(address)!r}: name the sensor by its number, such as csi://0"
        )
    connect = prepare_pipeline(address, csi_pipeline(int(number), camera), camera, stop)
    return LiveSource(address, camera, stop, connect, ArgusMonitor(camera.argus_restart).record_loss)


def csi_pipeline(sensor: int, camera: settings.Camera) -> str:
    """Return the pipeline of a CSI camera, by default 1280 x 720 at 30 frames per second."""
    caps = _caps(camera.width or 1280, camera.height or 720, camera.fps or 30)
    return f"nvarguscamerasrc sensor-id={sensor} ! video/x-raw(memory:NVMM),format=NV12{caps} ! {_TO_BGRX}"


def mjpg_pipeline(camera: settings.Camera) -> str:
    """Return the pipeline of a Motion JPEG camera. Set `device` as a property of the element ``camera``."""
    caps = _caps(camera.width, camera.height, camera.fps)
    return f"v4l2src name=camera ! image/jpeg{caps} ! nvv4l2decoder mjpeg=1 ! {_TO_BGRX}"


def _caps(width: int | None, height: int | None, fps: float | None) -> str:
    """Format the given values as GStreamer caps; omit those that are None."""
    rate = Fraction(fps).limit_denominator(1001) if fps else None
    values = {"width": width, "height": height, "framerate": rate and f"{rate.numerator}/{rate.denominator}"}
    return "".join(f",{name}={value}" for name, value in values.items() if value)


class ArgusMonitor:
    """Requests a restart of the Argus daemon after two failures of a CSI camera in a row.

    Reports of the fault: Kurokesu/ar0234-jetson-driver#8, OE4T/meta-tegra#943, NVIDIA-AI-IOT/jetbot#1 and #211.
    """

    def __init__(self, request: Path | None) -> None:
        """Start without failures.

        Args:
            request: File that the host watches; None: the advice is only logged.
        """
        self._request = request
        self._failures = 0
        self._requested_at = float("-inf")

    def record_loss(self, seconds: float) -> None:
        """Count a loss of the camera, and request a restart after the second in a row.

        Args:
            seconds: Seconds for which frames had come; 0 if no frame came.
        """
        self._failures = 1 if seconds >= STABLE_SECONDS else self._failures + 1
        if self._failures < 2 or time.monotonic() - self._requested_at < MIN_REQUEST_INTERVAL:
            return
        self._failures = 0
        self._requested_at = time.monotonic()
        if not self._request:
            log.warning("the camera's daemon may hang; on the host: sudo systemctl restart nvargus-daemon")
            return
        try:
            self._request.touch()
        except OSError as error:
            log.warning(
                "camera.argus_restart = %s: %s; on the host: sudo systemctl restart nvargus-daemon",
                self._request,
                error.strerror,
            )
        else:
            log.warning("the camera's daemon may hang; the host is asked to restart it")
