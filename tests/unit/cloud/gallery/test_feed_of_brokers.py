"""The gallery hears of faces and states from the broker of every cloud host."""

import json
import threading

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from face_app.cloud.gallery.edge_states import EdgeStates
from face_app.cloud.gallery.feed import Feed
from face_app.common.settings import GallerySettings, Store
from face_app.common.wire import dump_receipts
from support.cloud import Arrival, stored
from support.faces import drawn_face
from support.mosquitto import mosquitto
from support.waiting import until


def publish(port: int, topic: str, payload: bytes, *, retain: bool = False) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(90)
    client.disconnect()
    client.loop_stop()


def status(sequence: int) -> bytes:
    outbox = {"id": "deadbeef", "opening": "0badcafe", "first": 1, "sequence": sequence}
    return json.dumps({"state": "online", "at": "2026-01-01T00:00:00+00:00", "outbox": outbox}).encode()


@pytest.fixture
def heard():
    return {}


def test_reads_the_brokers_of_all_hosts_and_shows_the_newest_state(tmp_path, heard):
    changed = threading.Event()
    states = EdgeStates()
    with mosquitto() as first, mosquitto() as second:
        # The edge was at the first broker before.
        publish(second.port, "status/jetson/door", status(9), retain=True)
        publish(first.port, "status/jetson/door", status(3), retain=True)
        settings = GallerySettings(
            store=Store(kind="directory", path=tmp_path),
            brokers=[{"host": "127.0.0.1", "port": broker.port} for broker in (first, second)],
        )
        feed = Feed(
            settings,
            states,
            on_faces=heard.update,
            on_change=changed.set,
            on_gap=lambda: None,
            on_erased=lambda _: None,
        )
        feed.start()
        try:
            until(lambda: not feed.gap and states.states())
            for number, broker in enumerate((first, second), start=1):
                face = drawn_face(number)
                receipt = stored(Arrival(face.topic, face.payload))
                publish(broker.port, "receipts/jetson/s1", dump_receipts([receipt]))
            until(lambda: len(heard) == 2)
            assert [state.document["outbox"]["sequence"] for state in states.states()] == [9]
            first.process.kill()
            until(lambda: f"127.0.0.1:{first.port}" in feed.gap)
            assert feed.problem == ""
            second.process.kill()
            until(lambda: feed.problem)
        finally:
            feed.stop()
