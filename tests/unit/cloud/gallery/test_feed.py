"""A flood of messages fills no memory, and the faces of dropped receipts are listed."""

import json
import threading
from contextlib import contextmanager
from datetime import datetime, timezone

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from face_app.cloud.gallery.edge_states import EdgeStates
from face_app.cloud.gallery.feed import Feed
from face_app.common.mqtt.inbox import LANE_MESSAGES, OVERHEAD_BYTES
from face_app.common.settings import Broker, GallerySettings, Store
from face_app.common.wire import STATUS_BYTES, Receipt, dump_receipts
from support.mosquitto import mosquitto
from support.portraits import portrait
from unit.cloud.gallery.conftest import NOON, wait_until

FLOOD = 1_000


class Index:
    """Takes faces, as soon as it may."""

    def __init__(self):
        self.open, self.faces, self.gaps = threading.Event(), [], 0

    def take(self, faces):
        assert self.open.wait(90)
        self.faces += [face.key for face in faces]

    def listed(self):
        self.gaps += 1


@contextmanager
def feeding(index):
    states = EdgeStates()
    with mosquitto() as broker:
        settings = GallerySettings(
            store=Store(kind="directory", path="/"), broker=Broker(host="127.0.0.1", port=broker.port)
        )
        feed = Feed(settings, states, on_faces=index.take, on_change=lambda: None, on_gap=index.listed, on_erased=print)
        sender = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        sender.connect("127.0.0.1", broker.port)
        sender.loop_start()
        feed.start()
        try:
            wait_until(lambda: feed._connections.subscribed)
            yield feed, states, sender
        finally:
            index.open.set()
            feed.stop()
            sender.disconnect()
            sender.loop_stop()


def receipt(face):
    stored = Receipt(face.id, face.sha256, face.key, datetime.now(timezone.utc), "stored")
    return f"receipts/{face.metadata.edge}/subscriber-1", dump_receipts([stored])


def first_waits(feed, sender, face):
    """Send a receipt, and wait until the index waits with it."""
    sender.publish(*receipt(face), qos=1).wait_for_publish(90)
    wait_until(lambda: not feed._inbox.bytes)


def test_a_flood_of_receipts_delays_no_other_edge_and_is_listed_afterwards():
    index, first = Index(), portrait(1, NOON)
    hostile, honest = portrait(2, NOON, edge="hostile"), portrait(3, NOON, edge="honest")
    with feeding(index) as (feed, _, sender):
        first_waits(feed, sender, first)
        for _ in range(FLOOD):
            sender.publish(*receipt(hostile), qos=0)
        wait_until(lambda: feed.dropped == FLOOD - LANE_MESSAGES)
        sender.publish(*receipt(honest), qos=1).wait_for_publish(90)
        wait_until(lambda: len(feed._inbox._lanes) == 2)
        assert index.gaps == 1, "of the connection"
        index.open.set()
        wait_until(lambda: index.gaps == 2)
        assert index.faces[:3] == [first.key, hostile.key, honest.key]
        assert len(index.faces) == 2 + LANE_MESSAGES


def test_of_a_flood_of_states_the_newest_is_read():
    index = Index()
    with feeding(index) as (feed, states, sender):
        first_waits(feed, sender, portrait(1, NOON))
        for number in range(FLOOD):
            state = {"state": "online", "faces": number, "filler": "x" * (STATUS_BYTES - 100)}
            # At QoS 0 the broker drops some.
            sender.publish("status/hostile/door", json.dumps(state), qos=1).wait_for_publish(90)
        sender.publish("status/hostile/gate", "x" * (STATUS_BYTES + 1), qos=1)
        sender.publish("status/honest/door", b'{"state": "online"}', qos=1).wait_for_publish(90)
        wait_until(lambda: "states of honest" in feed._inbox._lanes)
        assert feed._inbox.bytes <= STATUS_BYTES + 100 + 2 * OVERHEAD_BYTES
        assert not feed.dropped
        index.open.set()
        wait_until(lambda: len(states.states()) == 2)
        assert [(each.edge, each.document.get("faces")) for each in states.states()] == [
            ("honest", None),
            ("hostile", FLOOD - 1),
        ]


@pytest.mark.parametrize("qos", [0, 1])
def test_receipts_that_are_read_at_once_cause_no_listing(qos):
    index, sent = Index(), [portrait(number, NOON) for number in range(1, 51)]
    index.open.set()
    with feeding(index) as (feed, _, sender):
        for face in sent:
            sender.publish(*receipt(face), qos=qos)
        wait_until(lambda: len(index.faces) == len(sent))
        assert index.faces == [face.key for face in sent]
        assert (feed.dropped, index.gaps) == (0, 1)
