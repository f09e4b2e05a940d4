"""The other end of the sender: takes faces, and answers with receipts or does not."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from face_app.common.metadata import FaceMetadata, read_image
from face_app.common.wire import FaceId, FaceTopic, Receipt, dump_receipts, object_key, receipts_topic
from support.mosquitto import Mosquitto


@dataclass(frozen=True)
class Arrival:
    """A face as it came."""

    topic: str
    payload: bytes

    @property
    def id(self) -> FaceId:
        face_id = read_image(self.payload, max_pixels=10_000_000).face_id
        assert face_id
        return face_id

    @property
    def metadata(self) -> FaceMetadata:
        metadata = read_image(self.payload, max_pixels=10_000_000).metadata
        assert metadata
        return metadata

    @property
    def sequence(self) -> int:
        return self.id.sequence


def stored(face: Arrival) -> Receipt:
    """The receipt of a store that works."""
    sha256 = hashlib.sha256(face.payload).hexdigest()
    key = object_key(FaceTopic.parse(face.topic), face.id, face.metadata.captured_at, sha256, "jpg")
    return Receipt(face.id, sha256, key, datetime.now(timezone.utc), "stored")


class Cloud:
    """A subscriber whose answers the test chooses.

    Attributes:
        answer: Makes the receipt of a face, or None for silence.
        arrivals: Every face that came, each copy counted.
    """

    def __init__(self) -> None:
        self.answer: Callable[[Arrival], Receipt | None] = stored
        self.arrivals: list[Arrival] = []
        self._changed = threading.Condition()
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="cloud", protocol=paho.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("face_app/#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._received

    def connect(self, port: int) -> None:
        self._client.connect_async("127.0.0.1", port, keepalive=5)
        self._client.loop_start()
        assert self._subscribed.wait(90), "the broker did not take the subscription"

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(90)

    def wait_for(self, count: int, *, seconds: float = 90) -> list[Arrival]:
        """Wait until so many faces came, copies counted."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.arrivals) >= count, seconds)
            assert came, f"{len(self.arrivals)} faces came of {count}"
            return list(self.arrivals)

    def _received(self, client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        face = Arrival(message.topic, bytes(message.payload))
        receipt = self.answer(face)
        if receipt:
            client.publish(receipts_topic(FaceTopic.parse(face.topic).edge, "cloud"), dump_receipts([receipt]), qos=1)
        with self._changed:
            self.arrivals.append(face)
            self._changed.notify_all()


@contextmanager
def cloud(broker: Mosquitto) -> Iterator[Cloud]:
    """A connected cloud."""
    client = Cloud()
    client.connect(broker.port)
    try:
        yield client
    finally:
        client.close()
