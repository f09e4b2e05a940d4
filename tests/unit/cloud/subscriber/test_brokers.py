"""A subscriber of several brokers: one that is down disturbs no other, and a receipt returns to its face's broker."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from prometheus_client import CollectorRegistry

from face_app.cloud.stores import open_store
from face_app.cloud.subscriber.consumer import Consumer
from face_app.cloud.subscriber.metrics import SubscriberMetrics, total
from face_app.common.errors import BrokerError
from face_app.common.settings import CloudSettings, Store
from support.edge import edge
from support.faces import drawn_face
from support.mosquitto import Mosquitto, mosquitto
from support.ports import free_port
from support.waiting import until

FACE = drawn_face()
CLOSED = ("allow_anonymous false",)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "store").mkdir()
    return Store(kind="directory", path=tmp_path / "store")


@contextmanager
def consuming(folder: Store, *ports: int) -> Iterator[Consumer]:
    brokers = [{"host": "127.0.0.1", "port": port, "keepalive": 5} for port in ports]
    settings = CloudSettings(subscriber="s1", store=folder, brokers=brokers)
    registry = CollectorRegistry()
    metrics = SubscriberMetrics(registry)
    consumer = Consumer(settings, open_store(folder), metrics)
    consumer.metrics, consumer.registry = metrics, registry
    consumer.start()
    try:
        yield consumer
    finally:
        consumer.stop()


def up(consumer: Consumer, broker: Mosquitto) -> float | None:
    labels = {"broker": f"127.0.0.1:{broker.port}"}
    return consumer.registry.get_sample_value("face_app_subscriber_broker_up", labels)


def test_a_receipt_returns_to_the_broker_of_its_face_and_a_copy_through_another_is_no_second_object(folder):
    with mosquitto() as first, mosquitto() as second, consuming(folder, first.port, second.port) as consumer:
        until(lambda: consumer.health().facts["brokers_down"] == 0)
        with edge(first) as at_first, edge(second) as at_second:
            at_first.send(FACE)
            (receipt,) = at_first.wait_for_receipts(1)
            assert at_second.receipts == []
            at_second.send(FACE)
            assert at_second.wait_for_receipts(1) == [receipt]
            other = drawn_face(2)
            at_second.send(other)
            at_second.wait_for_receipts(2)
            assert [each.id for each in at_first.receipts] == [FACE.id]
        until(lambda: consumer.metrics.receipts_in_flight._value.get() == 0)
        assert (total(consumer.metrics.stored), total(consumer.metrics.copies)) == (2, 1)
    assert len(list(folder.path.rglob("*.jpg"))) == 2


def test_is_ready_while_one_broker_is_reached_and_names_the_others(folder):
    port = free_port()
    with mosquitto() as first, consuming(folder, first.port, port) as consumer:
        with edge(first) as at_first:
            at_first.resend_until_answered(FACE)
        health = consumer.health()
        assert (health.ready, health.reason, health.facts["brokers_down"]) == (True, "", 1)
        assert f"broker 127.0.0.1:{port} is not reached" in str(health.facts["broker_problem"])
        with mosquitto(port=port) as second:
            until(lambda: consumer.health().facts["brokers_down"] == 0)
            assert up(consumer, second) == 1
            first.process.kill()
            until(lambda: up(consumer, first) == 0)
            assert consumer.health().ready
            with edge(second) as at_second:
                at_second.send(drawn_face(2))
                at_second.wait_for_receipts(1)
        until(lambda: not consumer.health().ready)
        reason = consumer.health().reason
        assert f"127.0.0.1:{first.port}" in reason
        assert f"127.0.0.1:{port}" in reason


def test_ends_only_when_every_broker_refuses_it(folder):
    with ExitStack() as stack:
        port = free_port()
        with mosquitto(CLOSED) as closed, mosquitto(port=port) as opened:
            consumer = stack.enter_context(consuming(folder, closed.port, opened.port))
            until(lambda: consumer.links[0].connection.refused and consumer.links[1].connection.subscribed)
            consumer.connections.raise_refusal()
            opened.process.kill()
            until(lambda: not consumer.links[1].connection.connected)
            stack.enter_context(mosquitto(CLOSED, port=port))
            until(lambda: consumer.links[1].connection.refused)
            with pytest.raises(BrokerError, match="refuses the connection"):
                consumer.connections.raise_refusal()
