"""Define every setting of the programs: type, default and range.

A setting comes from the first source that sets it: command line, environment (``FACE_APP_BROKER__HOST``), the TOML file
that ``--config`` or ``FACE_APP_CONFIG`` names, default.
"""

from face_app.common.settings.cloud import Bucket, CloudSettings, Erasure, HealthSettings, Store
from face_app.common.settings.edge import EdgeSettings, OutboxFile, Sender, Status
from face_app.common.settings.gallery import GallerySettings
from face_app.common.settings.load import load
from face_app.common.settings.notifications import Notifications
from face_app.common.settings.section import Broker, Identity, Metrics
from face_app.common.settings.vision import Camera, Crop, Detector, Gate, Shot, Zones

__all__ = [
    "Broker",
    "Bucket",
    "Camera",
    "CloudSettings",
    "Crop",
    "Detector",
    "EdgeSettings",
    "Erasure",
    "GallerySettings",
    "Gate",
    "HealthSettings",
    "Identity",
    "Metrics",
    "Notifications",
    "OutboxFile",
    "Sender",
    "Shot",
    "Status",
    "Store",
    "Zones",
    "load",
]
