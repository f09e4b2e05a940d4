"""Receives the retained messages of a broker, as Home Assistant does."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


@dataclass(frozen=True)
class Heard:
    """One message.

    Attributes:
        topic: Its topic.
        payload: Its bytes.
        retained: It was there before the listener.
    """

    topic: str
    payload: bytes
    retained: bool

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.payload)
        return document


class States:
    """A client that hears everything on some topics, and may publish."""

    def __init__(self, port: int, topics: tuple[str, ...]) -> None:
        self.heard: list[Heard] = []
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in topics])
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(90)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: str) -> None:
        self._client.publish(topic, payload, qos=1).wait_for_publish(90)

    def wait_for(self, wanted: Callable[[Heard], Any], *, seconds: float = 90) -> Heard:
        """Wait for a message; the first one that is wanted."""

        def found() -> Heard | None:
            return next((each for each in self.heard if wanted(each)), None)

        with self._changed:
            message = self._changed.wait_for(found, seconds)
            assert message, self.heard
            return message

    def _message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.heard.append(Heard(message.topic, bytes(message.payload), bool(message.retain)))
            self._changed.notify_all()


@contextmanager
def states(port: int, *topics: str) -> Iterator[States]:
    """Listen to topics, on a broker that accepts all clients."""
    client = States(port, topics)
    try:
        yield client
    finally:
        client.close()
