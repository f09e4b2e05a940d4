"""Pipelines for a Jetson, whose camera and decoders only GStreamer reaches."""

from fractions import Fraction

from face_app import settings

_TO_BGRX = "nvvidconv ! video/x-raw,format=BGRx"
"""Out of the device's own memory."""

RTSP = (
    "rtspsrc name=camera protocols=tcp latency=200 ! application/x-rtp,media=video ! parsebin "
    f"! nvv4l2decoder enable-max-performance=1 ! {_TO_BGRX}"
)
"""H.264 or H.265 over TCP; `location` is a property of the element ``camera``."""


def csi(sensor: int, camera: settings.Camera) -> str:
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
