"""From the setting to the source."""

import threading
from pathlib import Path

from face_app.common import settings
from face_app.common.errors import SettingsError, SourceError
from face_app.edge.sources.device import device
from face_app.edge.sources.files import Files
from face_app.edge.sources.frame import Source
from face_app.edge.sources.gstreamer import elements, pipeline
from face_app.edge.sources.jetson import csi
from face_app.edge.sources.live import Live
from face_app.edge.sources.network import SCHEMES, masked, stream

GST = "gst:"
KINDS = "a FILE, a DIR, /dev/videoN, rtsp://..., http://..., csi://N or gst:PIPELINE"


def open_source(camera: settings.Camera, stop: threading.Event) -> Source:
    """Make the source that ``camera.source`` names.

    Args:
        camera: Where frames come from, and how they are played.
        stop: Ends the source soon after it is set.

    Raises:
        SettingsError: Nothing is named.
        SourceError: What is named does not exist, or what it takes is not installed.
    """
    if not camera.source:
        raise SettingsError(f"camera.source is not set; name {KINDS}")
    if camera.source.startswith(GST):
        description = camera.source.removeprefix(GST)
        name = elements(description)
        return Live(name, camera, stop, pipeline(name, description, camera, stop))
    scheme, separator, _ = camera.source.partition("://")
    if separator:
        if scheme.lower() == "csi":
            return csi(camera.source, camera, stop)
        if scheme.lower() in SCHEMES:
            return stream(camera.source, camera, stop)
        raise SourceError(f"camera.source = {masked(camera.source)!r}: {scheme} is not known; name {KINDS}")
    try:
        path = Path(camera.source).expanduser()
        if path.is_relative_to("/dev"):
            return device(path, camera, stop)
        path.stat()
    except (OSError, RuntimeError) as error:  # RuntimeError: a home that is not known
        raise SourceError(f"camera.source = {camera.source!r}: {getattr(error, 'strerror', error)}") from error
    return Files(path, camera, stop)
