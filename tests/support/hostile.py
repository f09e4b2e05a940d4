"""The cloud's broker with the role's configuration, its subscriber, and edges that show their certificates to it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client import CollectorRegistry

from face_app.cloud.stores import open_store
from face_app.cloud.subscriber.consumer import Consumer
from face_app.cloud.subscriber.metrics import SubscriberMetrics
from face_app.common.settings import Broker as BrokerSettings
from face_app.common.settings import CloudSettings, Store
from face_app.common.wire import load_receipts
from support.authority import Authority
from support.brokers import Broker, configure_cloud_broker
from support.faces import DrawnFace
from support.ports import free_port

HONEST, HOSTILE = "jetson", "hostile"


class Edge:
    """A client with the certificate of an edge, in the version of MQTT that the forwarder has.

    Attributes:
        client: For what an honest edge does not do.
    """

    def __init__(self, client: paho.Client) -> None:
        self.client = client
        self._stored: set[str] = set()
        self._changed = threading.Condition()
        client.on_message = self._received

    def send(self, faces: list[DrawnFace]) -> None:
        """Publish each face once, and wait until the broker has it."""
        for face in faces:
            self.client.publish(face.topic, face.payload, qos=1).wait_for_publish(90)

    def has_receipts(self, faces: list[DrawnFace], *, seconds: float) -> bool:
        """Wait until each face is stored, at most so long."""
        wanted = {str(face.id) for face in faces}
        with self._changed:
            return self._changed.wait_for(lambda: wanted <= self._stored, seconds)

    def wait_for_receipts(self, faces: list[DrawnFace], *, seconds: float = 90) -> None:
        assert self.has_receipts(faces, seconds=seconds), f"{len(self._stored)} of {len(faces)} faces were stored"

    def _received(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        receipts = load_receipts(bytes(message.payload))
        with self._changed:
            self._stored |= {str(receipt.id) for receipt in receipts if receipt.result == "stored"}
            self._changed.notify_all()


@contextmanager
def cloud_broker(folder: Path, *, command: tuple[str, ...] = (), memory: int = 512) -> Iterator[Broker]:
    """Run the cloud's broker, with certificates of two edges and of ``subscriber-1``."""
    broker = Broker("cloud", folder, free_port(), command)
    folder.mkdir()
    authority = Authority(folder)
    authority.issue("cloud-broker", usage="server")
    for name in ("subscriber-1", HONEST, HOSTILE):
        authority.issue(name)
    authority.revoke()
    configure_cloud_broker(broker, memory=memory)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@contextmanager
def connected(broker: Broker, name: str, *topics: str, client_id: str) -> Iterator[Edge]:
    """Connect as an edge; its session outlives the connection, as the forwarder's does."""
    subscribed = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False)
    authority, certificate, key = (str(broker.folder / file) for file in ("ca.crt", f"{name}.crt", f"{name}.key"))
    client.tls_set(authority, certificate, key)
    client.reconnect_delay_set(1, 1)
    client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in topics])
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        assert subscribed.wait(90), "the broker did not answer the subscription"
        yield Edge(client)
    finally:
        client.disconnect()
        client.loop_stop()


@contextmanager
def subscribing(broker: Broker, folder: Path, *, group: str) -> Iterator[Consumer]:
    """Run the subscriber, with a directory as its store."""
    folder.mkdir()
    store = Store(kind="directory", path=folder)
    files = {"ca_file": "ca.crt", "cert_file": "subscriber-1.crt", "key_file": "subscriber-1.key"}
    identity = {name: broker.folder / file for name, file in files.items()}
    settings = CloudSettings(
        group=group, store=store, broker=BrokerSettings(host="127.0.0.1", port=broker.port, **identity)
    )
    consumer = Consumer(settings, open_store(store), SubscriberMetrics(CollectorRegistry()))
    consumer.start()
    try:
        assert consumer.links[0].connection.wait_for_outcome(90)
        yield consumer
    finally:
        consumer.stop()
