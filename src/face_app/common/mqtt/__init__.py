"""Connect to an MQTT broker. No other package configures paho."""

from face_app.common.mqtt.client_id import client_id
from face_app.common.mqtt.connection import Connection, Message
from face_app.common.mqtt.inbox import Inbox

__all__ = ["Connection", "Inbox", "Message", "client_id"]
