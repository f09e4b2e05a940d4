"""Connect to an MQTT broker. No other package configures paho."""

from face_app.common.mqtt.client_id import client_id
from face_app.common.mqtt.connection import Connection, Message

__all__ = ["Connection", "Message", "client_id"]
