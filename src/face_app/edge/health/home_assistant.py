"""Announce a camera to Home Assistant as one device, with the last face as a picture.

The format is that of MQTT device discovery, https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
(Home Assistant 2024.12 or newer). All entities but the picture read the camera's retained state. The picture is the
image in the latest message with a face.
"""

import json
from typing import Any

from face_app import __version__
from face_app.common.settings import EdgeSettings, Status
from face_app.common.wire import FaceTopic, status_topic

AVAILABLE = "{{ 'online' if value_json.state == 'online' else 'offline' }}"
ALWAYS = "online"
"""Template of an entity that is always available."""


def birth_topic(status: Status) -> str:
    """Return the topic on which Home Assistant publishes `online` after its start, before it knows any device."""
    return f"{status.home_assistant_prefix}/status"


def announcement(settings: EdgeSettings) -> tuple[str, bytes]:
    """Return the discovery message of a camera.

    Returns:
        Topic and JSON document, to publish as retained. The edge is a topic level, so that an ACL can separate edges.
    """
    edge, camera = settings.edge, settings.camera.name
    document = {
        "device": {
            "identifiers": [f"face_app/{edge}/{camera}"],
            "name": f"{edge} {camera}",
            "manufacturer": "face-app",
            "model": "Camera",
            "sw_version": __version__,
        },
        "origin": {"name": "face-app", "sw_version": __version__},
        "availability_topic": status_topic(edge, camera),
        "availability_template": AVAILABLE,
        "state_topic": status_topic(edge, camera),
        "components": {
            name: {"platform": platform, "unique_id": f"face_app/{edge}/{camera}/{name}", **options}
            for name, (platform, options) in _entities(settings).items()
        },
    }
    topic = f"{settings.status.home_assistant_prefix}/device/face_app-{edge}/{camera}/config"
    return topic, json.dumps(document, separators=(",", ":")).encode()


def _entities(settings: EdgeSettings) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return platform and options of each entity by name. A last will has no numbers, so they default to none."""
    reason = {
        "json_attributes_topic": status_topic(settings.edge, settings.camera.name),
        "json_attributes_template": "{{ {'problem': value_json.problem} | tojson }}",
    }
    return {
        "running": (
            "binary_sensor",
            {
                "name": "Running",
                "device_class": "connectivity",
                "value_template": "{{ 'ON' if value_json.state == 'online' else 'OFF' }}",
                # This entity alone stays available when the camera is offline.
                "availability_template": ALWAYS,
                "entity_category": "diagnostic",
                **reason,
            },
        ),
        "problem": (
            "binary_sensor",
            {
                "name": "Problem",
                "device_class": "problem",
                "value_template": "{{ 'ON' if value_json.problem else 'OFF' }}",
                "entity_category": "diagnostic",
                **reason,
            },
        ),
        "faces": (
            "sensor",
            {
                "name": "Faces",
                "state_class": "total_increasing",
                "value_template": "{{ value_json.faces | default(none) }}",
                "icon": "mdi:face-recognition",
            },
        ),
        "last_face": (
            "sensor",
            {
                "name": "Last face",
                "device_class": "timestamp",
                "value_template": "{{ value_json.last_face | default(none) }}",
            },
        ),
        "waiting": (
            "sensor",
            {
                "name": "Waiting faces",
                "state_class": "measurement",
                "value_template": "{{ value_json.waiting | default(none) }}",
                "icon": "mdi:tray-full",
                "entity_category": "diagnostic",
            },
        ),
        "picture": (
            "image",
            {
                "name": "Last face picture",
                "image_topic": str(FaceTopic(settings.edge, settings.camera.name)),
                "content_type": f"image/{settings.crop.format}",
            },
        ),
    }
