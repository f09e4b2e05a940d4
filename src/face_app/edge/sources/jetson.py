"""A camera on a Jetson's ribbon cable: csi://SENSOR."""

import logging
import threading
import time
from fractions import Fraction
from pathlib import Path

from face_app.common import settings
from face_app.common.errors import SourceError
from face_app.edge.sources.gstreamer import pipeline
from face_app.edge.sources.live import Live

log = logging.getLogger(__name__)


def csi(address: str, camera: settings.Camera, stop: threading.Event) -> Live:
    """Watch a CSI camera.

    Args:
        address: csi:// and the number of the sensor, as nvarguscamerasrc counts them.
        camera: Size and rate to ask for; whom to ask when the daemon behind the camera hangs.
        stop: Ends the run.

    Raises:
        SourceError: There is no number, or GStreamer cannot be used.
    """
    number = address.partition("://")[2]
    if not number.isdecimal():
        raise SourceError(f"camera.source = {address!r}: name the sensor by its number, such as csi://0")
    connect = pipeline(address, csi_pipeline(int(number), camera), camera, stop)
    return Live(address, camera, stop, connect, Argus(camera.argus_restart).lost)


STEADY = 60.0
"""Seconds of frames after which a loss is a new one, not the last one again."""
BETWEEN = 60.0
"""Least seconds between two requests: the daemon, and the camera behind it, need some of them to come back."""


class Argus:
    """Counts the failures of a CSI camera, and asks for a restart of its daemon after two in a row.

    The fault: Kurokesu/ar0234-jetson-driver#8, OE4T/meta-tegra#943, NVIDIA-AI-IOT/jetbot#1 and #211.
    """

    def __init__(self, request: Path | None) -> None:
        """Prepare.

        Args:
            request: File that the host watches for; None: only the cure is logged.
        """
        self._request = request
        self._failures = 0
        self._asked = float("-inf")

    def lost(self, lived: float) -> None:
        """The camera gave frames for so many seconds, or none, and gives none any more."""
        self._failures = 1 if lived >= STEADY else self._failures + 1
        if self._failures < 2 or time.monotonic() - self._asked < BETWEEN:
            return
        self._failures = 0
        self._asked = time.monotonic()
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


_TO_BGRX = "nvvidconv ! video/x-raw,format=BGRx"
"""Out of the device's own memory."""

RTSP = (
    "rtspsrc name=camera protocols=tcp latency=200 ! application/x-rtp,media=video ! parsebin "
    f"! nvv4l2decoder enable-max-performance=1 ! {_TO_BGRX}"
)
"""H.264 or H.265 over TCP; `location` is a property of the element ``camera``."""


def csi_pipeline(sensor: int, camera: settings.Camera) -> str:
    """A camera on the ribbon cable: 1280 x 720 at 30 frames a second where nothing else is asked for."""
    caps = _caps(camera.width or 1280, camera.height or 720, camera.fps or 30)
    return f"nvarguscamerasrc sensor-id={sensor} ! video/x-raw(memory:NVMM),format=NV12{caps} ! {_TO_BGRX}"


def mjpg(camera: settings.Camera) -> str:
    """A USB camera's Motion JPEG; `device` is a property of the element ``camera``."""
    caps = _caps(camera.width, camera.height, camera.fps)
    return f"v4l2src name=camera ! image/jpeg{caps} ! nvv4l2decoder mjpeg=1 ! {_TO_BGRX}"


def _caps(width: int | None, height: int | None, fps: float | None) -> str:
    """Write down what is set, as GStreamer reads it."""
    rate = Fraction(fps).limit_denominator(1001) if fps else None
    wanted = {"width": width, "height": height, "framerate": rate and f"{rate.numerator}/{rate.denominator}"}
    return "".join(f",{name}={value}" for name, value in wanted.items() if value)
