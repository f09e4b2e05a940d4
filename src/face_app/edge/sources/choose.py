"""From the setting to the source."""

import threading
from pathlib import Path

from face_app import settings
from face_app.edge.sources.device import device
from face_app.edge.sources.files import Files
from face_app.edge.sources.frame import Source
from face_app.edge.sources.stream import SCHEMES, masked, stream
from face_app.errors import SettingsError, SourceError


def choose_source(camera: settings.Camera, stop: threading.Event) -> Source:
    """Make the source that ``camera.source`` names.

    Args:
        camera: Where frames come from, and how they are played.
        stop: Ends the source soon after it is set.

    Raises:
        SettingsError: Nothing is named.
        SourceError: What is named does not exist.
    """
    if not camera.source:
        raise SettingsError("camera.source is not set; name a FILE, a DIR, /dev/videoN, rtsp://... or http://...")
    scheme, separator, _ = camera.source.partition("://")
    if separator:
        if scheme.lower() not in SCHEMES:
            allowed = ", ".join(sorted(SCHEMES))
            raise SourceError(f"camera.source = {masked(camera.source)!r}: {scheme} is none of {allowed}")
        return stream(camera.source, camera, stop)
    try:
        path = Path(camera.source).expanduser()
        if path.is_relative_to("/dev"):
            return device(path, camera, stop)
        path.stat()
    except (OSError, RuntimeError) as error:  # RuntimeError: a home that is not known
        raise SourceError(f"camera.source = {camera.source!r}: {getattr(error, 'strerror', error)}") from error
    return Files(path, camera, stop)
