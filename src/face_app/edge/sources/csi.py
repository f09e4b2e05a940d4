"""A camera on a Jetson's ribbon cable: csi://SENSOR."""

import threading

from face_app import settings
from face_app.edge.sources import nvidia
from face_app.edge.sources.argus import Argus
from face_app.edge.sources.gstreamer import pipeline
from face_app.edge.sources.live import Live
from face_app.errors import SourceError


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
    connect = pipeline(address, nvidia.csi(int(number), camera), camera, stop)
    return Live(address, camera, stop, connect, Argus(camera.argus_restart).lost)
