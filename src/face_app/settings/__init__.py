"""Every setting of both programs, typed, with its default and its range.

A setting comes, first match wins, from the command line, from ``FACE_APP_...`` in the environment
(``FACE_APP_BROKER__HOST``), from the TOML file that ``--config`` or ``FACE_APP_CONFIG`` names, or from here.
"""

from face_app.settings.cloud import Bucket, CloudSettings, HealthSettings, Store
from face_app.settings.edge import EdgeSettings, OutboxFile, Sender, Status
from face_app.settings.eyes import Camera, Crop, Detector, Gate, Shot, Zones
from face_app.settings.load import load
from face_app.settings.section import Broker, Metrics

__all__ = [
    "Broker",
    "Bucket",
    "Camera",
    "CloudSettings",
    "Crop",
    "Detector",
    "EdgeSettings",
    "Gate",
    "HealthSettings",
    "Metrics",
    "OutboxFile",
    "Sender",
    "Shot",
    "Status",
    "Store",
    "Zones",
    "load",
]
