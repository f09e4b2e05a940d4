"""Receipts go out together, and a message is acknowledged when the broker has its receipt, not before."""

import signal
import time
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone

import paho.mqtt.client as paho
import pytest
from prometheus_client import CollectorRegistry

from face_app.cloud.subscriber import receipt_publisher
from face_app.cloud.subscriber.metrics import SubscriberMetrics
from face_app.cloud.subscriber.receipt_publisher import Delivery, PendingReceipt, ReceiptPublisher
from face_app.common.mqtt import Connection
from face_app.common.settings import Broker
from face_app.common.wire import FaceId, Receipt, load_receipts
from support.edge import edge as connected_edge
from support.mosquitto import mosquitto
from support.ports import free_port

NOW = datetime.now(timezone.utc)


def wait_until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Posting:
    """A publisher on its own connection; `acknowledged` contains the numbers of the messages."""

    def __init__(self, port):
        self.metrics, self.acknowledged = SubscriberMetrics(CollectorRegistry()), []
        self.connection = Connection(
            Broker(host="127.0.0.1", port=port, keepalive=5),
            "subscriber-s1",
            subscriptions=["nothing"],
            on_message=lambda *_: None,
            on_sent=self.answered,
            on_state=lambda _: self.publisher.connection_changed(),
        )
        self.publisher = ReceiptPublisher("s1", self.connection, self.metrics)
        self.connection._client.ack = lambda mid, _qos: self.acknowledged.append(mid)

    def answered(self, mid, answer):
        self.publisher.answered(mid, answer)

    @property
    def open(self):
        return self.metrics.receipts_in_flight._value.get()

    def enqueue(self, *numbers, edge="jetson", erased=()):
        for number in numbers:
            result = "erased" if number in erased else "stored"
            receipt = Receipt(FaceId("0badcafe", number), "0" * 64, "key", NOW, result)
            message = paho.MQTTMessage(mid=number)
            delivery = Delivery("jetson", message, self.connection.epoch, NOW, self.publisher)
            self.publisher.enqueue(PendingReceipt(edge, receipt, delivery))


@contextmanager
def posting(port):
    it = Posting(port)
    it.connection.start()
    assert it.connection.wait_for_outcome(10)
    it.publisher.start()
    try:
        yield it
    finally:
        it.publisher.stop(1)
        it.connection.stop()


def test_the_receipts_of_one_edge_share_messages():
    with mosquitto() as broker, connected_edge(broker) as edge, posting(broker.port) as it:
        it.enqueue(1)
        edge.wait_for_receipts(1)
        it.enqueue(*range(2, 251), edge="jetson")
        it.enqueue(*range(251, 301), edge="nano")
        receipts = edge.wait_for_receipts(300)
        wait_until(lambda: len(it.acknowledged) == 300)
        assert sorted(it.acknowledged) == sorted(receipt.id.sequence for receipt in receipts) == list(range(1, 301))
        assert len(edge.topics) <= 7
        assert edge.topics.count("receipts/nano/s1") <= 2
        wait_until(lambda: it.open == 0)


def test_erased_receipts_share_no_message_with_others():
    """An edge of an earlier version uses no receipt of a message with a result that it does not know."""
    messages = []
    with mosquitto() as broker, connected_edge(broker) as edge, posting(broker.port) as it:
        publish = it.connection.publish
        it.connection.publish = lambda topic, data: messages.append(load_receipts(data)) or publish(topic, data)
        it.enqueue(*range(1, 31), erased={3, 4, 30})
        assert len(edge.wait_for_receipts(30)) == 30
    found = [{receipt.result for receipt in message} for message in messages]
    assert all(len(results) == 1 for results in found)
    assert found.count({"erased"}) >= 2


def test_a_link_lost_before_the_answer_is_no_answer(tmp_path):
    port = free_port()
    with ExitStack() as brokers:
        broker = brokers.enter_context(mosquitto(port=port, folder=tmp_path))
        with posting(port) as it:
            it.enqueue(1)
            wait_until(lambda: it.acknowledged == [1])
            broker.process.send_signal(signal.SIGSTOP)
            it.enqueue(2)
            wait_until(lambda: it.open == 1)
            time.sleep(0.5)
            assert it.acknowledged == [1]
            broker.process.kill()
            wait_until(lambda: not it.connection.connected)
            it.enqueue(3)
            brokers.close()
            broker = brokers.enter_context(mosquitto(port=port, folder=tmp_path))
            wait_until(lambda: it.connection.connected)
            with connected_edge(broker):
                it.enqueue(4)
                wait_until(lambda: 4 in it.acknowledged)
            wait_until(lambda: it.open == 0)  # paho sends the lost one again; its answer is ignored
            assert it.acknowledged == [1, 4]


def test_reports_a_broker_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(receipt_publisher, "SILENT_SECONDS", 0.2)
    with mosquitto() as broker, posting(broker.port) as it:
        broker.process.send_signal(signal.SIGSTOP)
        it.enqueue(1)
        wait_until(lambda: "has not answered a receipt" in it.publisher.problem)
        broker.process.send_signal(signal.SIGCONT)
        wait_until(lambda: not it.publisher.problem)
        assert it.acknowledged == [1]


@pytest.mark.parametrize("frozen", [False, True])
def test_stop_publishes_pending_receipts_and_does_not_wait_for_a_frozen_broker(frozen):
    with mosquitto() as broker, connected_edge(broker) as edge:
        with posting(broker.port) as it:
            if frozen:
                broker.process.send_signal(signal.SIGSTOP)
            it.enqueue(*range(1, 51))
            began = time.monotonic()
            it.publisher.stop(1)
            assert time.monotonic() - began < 30
            assert len(it.acknowledged) == (0 if frozen else 50)
            broker.process.send_signal(signal.SIGCONT)
        edge.wait_for_receipts(50)
