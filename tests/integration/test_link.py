"""What the edge's broker is told about the way to the cloud is true, whoever starts first and whoever fails."""

import time
from collections.abc import Iterator

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from face_app.common.wire import link_topics
from support.chain import EDGE, PASSWORD, make_brokers

FORWARDER, CLOUD = link_topics(EDGE)
OPEN = {FORWARDER: b"1", CLOUD: b"1"}


@pytest.fixture
def brokers(tmp_path):
    made = make_brokers(tmp_path)
    yield made
    for broker in made.values():
        broker.stop()


@pytest.fixture
def told(brokers) -> Iterator[dict[str, bytes]]:
    """The latest word on each hop, as the sender hears it."""
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


def until(told, expected, seconds=90):
    deadline = time.monotonic() + seconds
    while told != expected:
        assert time.monotonic() < deadline, told
        time.sleep(0.05)


def test_a_forwarder_that_starts_last_tells_the_latest_state_last(brokers, told):
    brokers["cloud"].start()
    for _ in range(6):
        brokers["forwarder"].start()
        until(told, OPEN)
        time.sleep(1)
        assert told == OPEN
        brokers["forwarder"].kill()
        until(told, {FORWARDER: b"0", CLOUD: b"1"})
        told.clear()


def test_each_hop_is_told_when_it_goes_and_comes(brokers, told):
    brokers["forwarder"].start()
    until(told, {FORWARDER: b"1", CLOUD: b"0"})
    brokers["cloud"].start()
    until(told, OPEN)
    brokers["cloud"].kill()
    until(told, {FORWARDER: b"1", CLOUD: b"0"})
    brokers["cloud"].start()
    until(told, OPEN)
