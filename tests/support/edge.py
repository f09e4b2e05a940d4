"""The other end of the subscriber: publishes messages, collects receipts."""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from face_app.common.wire import Receipt, load_receipts
from support.faces import DrawnFace
from support.mosquitto import Mosquitto


class Edge:
    """An MQTT client that reads every receipt; its session outlives a lost link, as an edge's does."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.topics: list[str] = []
        self._changed = threading.Condition()
        self._subscribed = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"edge-{secrets.token_hex(4)}", protocol=paho.MQTTv5
        )
        self._client.on_connect = lambda client, *_: client.subscribe("receipts/#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._received

    def connect(self, broker: Mosquitto) -> None:
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = 600
        self._client.connect_async(broker.host, broker.port, keepalive=5, clean_start=False, properties=session)
        self._client.reconnect_delay_set(1, 1)
        self._client.loop_start()
        if not self._subscribed.wait(90):
            raise TimeoutError("the broker did not take the subscription")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 1 and wait for the broker's answer."""
        self._client.publish(topic, payload, qos=1).wait_for_publish(90)

    def send(self, *faces: DrawnFace) -> None:
        """Publish faces on their own topics; wait until the broker has them all."""
        sent = [self._client.publish(face.topic, face.payload, qos=1) for face in faces]
        for each in sent:
            each.wait_for_publish(90)

    def wait_for_receipts(self, count: int, *, seconds: float = 90) -> list[Receipt]:
        """Wait for so many receipts in all."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.receipts) >= count, seconds):
                raise TimeoutError(f"{len(self.receipts)} receipts of {count}: {self.receipts[-3:]}")
            return list(self.receipts)

    def wait_for_faces(self, count: int, *, seconds: float = 90) -> None:
        """Wait until so many different faces have a receipt; a face may have several."""
        with self._changed:
            if not self._changed.wait_for(lambda: len({each.id for each in self.receipts}) >= count, seconds):
                raise TimeoutError(f"receipts for {len({each.id for each in self.receipts})} faces of {count}")

    def resend_until_answered(self, *faces: DrawnFace, seconds: float = 90) -> None:
        """Send faces without a receipt again, as an outbox does, until each has one."""
        deadline = time.monotonic() + seconds
        while missing := {face.id: face for face in faces}.keys() - {each.id for each in self.receipts}:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no receipt for {len(missing)} faces of {len(faces)}")
            self.send(*(face for face in faces if face.id in missing))
            with self._changed:
                self._changed.wait_for(lambda: {face.id for face in faces} <= {each.id for each in self.receipts}, 2)

    def _received(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.receipts.extend(load_receipts(bytes(message.payload)))
            self.topics.append(message.topic)
            self._changed.notify_all()


@contextmanager
def edge(broker: Mosquitto) -> Iterator[Edge]:
    """A connected edge."""
    client = Edge()
    client.connect(broker)
    try:
        yield client
    finally:
        client.close()
