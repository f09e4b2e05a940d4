"""Open the source that the settings name."""

import threading
from pathlib import Path

from face_app.common import settings
from face_app.common.errors import SettingsError, SourceError
from face_app.edge.sources.address import hide_secrets_of, is_published, printable_address
from face_app.edge.sources.device import open_device
from face_app.edge.sources.files import FileSource
from face_app.edge.sources.frame import Source
from face_app.edge.sources.gstreamer import prepare_pipeline, redact_pipeline
from face_app.edge.sources.jetson import open_csi
from face_app.edge.sources.live import LiveSource
from face_app.edge.sources.network import SCHEMES, stream_source

GST = "gst:"
KINDS = "a FILE, a DIR, /dev/videoN, rtsp://..., http://..., csi://N, gst:PIPELINE or mqtt://HOST/TOPIC"


def open_source(camera: settings.Camera, stop: threading.Event) -> Source:
    """Create the source that ``camera.source`` names.

    Args:
        camera: Address, and the settings to open or play it.
        stop: Event that ends the run.

    Raises:
        SettingsError: No source is set.
        SourceError: The source does not exist, or a package that it needs is not installed.
    """
    if not camera.source:
        raise SettingsError(f"camera.source is not set; name {KINDS}")
    hide_secrets_of(camera.source)
    if camera.source.startswith(GST):
        description = camera.source.removeprefix(GST)
        name = redact_pipeline(description)
        return LiveSource(name, camera, stop, prepare_pipeline(name, description, camera, stop))
    scheme, separator, _ = camera.source.partition("://")
    if separator:
        if scheme.lower() == "csi":
            return open_csi(camera.source, camera, stop)
        if scheme.lower() in SCHEMES:
            return stream_source(camera.source, camera, stop)
        if is_published(camera.source):
            raise SourceError(
                "camera.source: published pictures have no frames; run `face-app capture` without --dry-run"
            )
        raise SourceError(f"camera.source = {printable_address(camera.source)!r}: {scheme} is not known; name {KINDS}")
    try:
        path = Path(camera.source).expanduser()
        if path.is_relative_to("/dev"):
            return open_device(path, camera, stop)
        path.stat()
    except (OSError, RuntimeError) as error:  # RuntimeError: unknown home directory
        name = printable_address(camera.source)
        raise SourceError(f"camera.source = {name!r}: {getattr(error, 'strerror', error)}") from error
    return FileSource(path, camera, stop)
