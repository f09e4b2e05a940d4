"""The published state of both hops is correct for any order of starts and failures."""

import time
from collections.abc import Iterator

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from face_app.common.wire import hop_topics
from support.chain import EDGE, PASSWORD, make_brokers

FORWARDER, CLOUD = hop_topics(EDGE)
OPEN = {FORWARDER: b"1", CLOUD: b"1"}


@pytest.fixture
def brokers(tmp_path):
    made = make_brokers(tmp_path)
    yield made
    for broker in made.values():
        broker.stop()


@pytest.fixture
def published(brokers) -> Iterator[dict[str, bytes]]:
    """The latest state of each hop, as the sender receives it."""
    latest: dict[str, bytes] = {}
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="listener")
    client.username_pw_set("face_app", PASSWORD)
    client.reconnect_delay_set(1, 1)
    client.on_connect = lambda client, *_: client.subscribe(f"link/{EDGE}/+", qos=1)
    client.on_message = lambda _client, _userdata, message: latest.update({message.topic: message.payload})
    brokers["edge"].start()
    client.connect("127.0.0.1", brokers["edge"].port)
    client.loop_start()
    yield latest
    client.disconnect()
    client.loop_stop()


def until(published, expected, seconds=90):
    deadline = time.monotonic() + seconds
    while published != expected:
        assert time.monotonic() < deadline, published
        time.sleep(0.05)


def test_a_forwarder_that_starts_last_publishes_the_latest_state_last(brokers, published):
    brokers["cloud"].start()
    for _ in range(6):
        brokers["forwarder"].start()
        until(published, OPEN)
        time.sleep(1)
        assert published == OPEN
        brokers["forwarder"].kill()
        until(published, {FORWARDER: b"0", CLOUD: b"1"})
        published.clear()


def test_publishes_each_change_of_each_hop(brokers, published):
    brokers["forwarder"].start()
    until(published, {FORWARDER: b"1", CLOUD: b"0"})
    brokers["cloud"].start()
    until(published, OPEN)
    brokers["cloud"].kill()
    until(published, {FORWARDER: b"1", CLOUD: b"0"})
    brokers["cloud"].start()
    until(published, OPEN)
