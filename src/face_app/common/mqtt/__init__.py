"""Connect to MQTT brokers. No other package configures paho."""

from face_app.common.mqtt.client_id import client_id
from face_app.common.mqtt.connection import Connection, Message
from face_app.common.mqtt.connections import Connections
from face_app.common.mqtt.inbox import Inbox

__all__ = ["Connection", "Connections", "Inbox", "Message", "client_id"]
