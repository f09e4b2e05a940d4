"""A face that ends each connection stops no other face, and is set aside with its reason."""

from contextlib import contextmanager

import pytest

from face_app.common.settings import EdgeSettings, OutboxFile
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.uplink import suspects
from face_app.edge.uplink.sender import Sender
from support.cloud import cloud as connected_cloud
from support.mosquitto import mosquitto
from support.new_faces import new_face
from support.size_limit import size_limit
from support.waiting import until

LIMIT = 12_000
PUBLISH = 0x30


def within_limit(packet):
    return len(packet) <= LIMIT


@contextmanager
def sending(path, port):
    broker = {"host": "127.0.0.1", "port": port}
    settings = EdgeSettings(edge="jetson", outbox={"path": path}, broker=broker, sender={"resend_after": 5})
    with Outbox(OutboxFile(path=path)) as outbox, Sender(settings, outbox) as sender:
        yield outbox, sender


def small(count):
    return [new_face() for _ in range(count)]


def large(count):
    return [new_face(size=1500) for _ in range(count)]


def test_one_face_above_an_unannounced_limit_is_set_aside(path, broker, cloud):
    with size_limit(broker.port, within_limit) as proxy, sending(path, proxy.port) as (outbox, sender):
        outbox.append([*small(5), *large(1), *small(20)])
        sender.wake()
        until(lambda: outbox.run_counts().stored == 25)
        until(lambda: "faces set aside, of " in sender.state.obstacle)
        assert f"bytes or more: 1; broker 127.0.0.1:{proxy.port}, or a proxy before it, " in sender.state.obstacle
        assert proxy.closed <= 2 + suspects.PROVEN
        outbox.append(small(10))
        sender.wake()
        until(lambda: outbox.run_counts().stored == 35)
        assert proxy.closed <= 2 + suspects.PROVEN


def test_many_faces_above_the_limit_cost_no_more_connections_than_one(path, broker, cloud):
    with size_limit(broker.port, within_limit) as proxy, sending(path, proxy.port) as (outbox, sender):
        outbox.append([face for _ in range(12) for face in (*large(1), *small(1))])
        sender.wake()
        until(lambda: outbox.run_counts().stored == 12)
        until(lambda: "bytes or more: 12;" in sender.state.obstacle)
        assert proxy.closed <= 2 + suspects.PROVEN


def test_a_raised_limit_lets_all_pass_without_a_restart(path, broker, cloud, monkeypatch):
    monkeypatch.setattr(suspects, "ASIDE_PAUSE", 3.0)
    limited = [True]
    with (
        size_limit(broker.port, lambda packet: not limited[0] or within_limit(packet)) as proxy,
        sending(path, proxy.port) as (outbox, sender),
    ):
        outbox.append([*large(6), *small(6)])
        sender.wake()
        until(lambda: outbox.run_counts().stored == 6)
        until(lambda: "bytes or more: 6;" in sender.state.obstacle)
        limited[0] = False
        until(lambda: outbox.run_counts().stored == 12)
        until(lambda: "set aside" not in sender.state.obstacle)  # it follows the commit of the receipts


def test_a_network_that_fails_by_chance_sets_no_face_aside_for_ever(path, broker, cloud, monkeypatch):
    monkeypatch.setattr(suspects, "ASIDE_PAUSE", 3.0)
    publishes = [0]

    def passes(packet):
        publishes[0] += packet[0] & 0xF0 == PUBLISH
        return packet[0] & 0xF0 != PUBLISH or publishes[0] % 9 != 0

    with size_limit(broker.port, passes) as proxy, sending(path, proxy.port) as (outbox, sender):
        outbox.append(small(60))
        sender.wake()
        until(lambda: outbox.run_counts().stored == 60)
        assert proxy.closed >= 3
        until(lambda: sender.state.aside == 0)


def test_if_no_face_passes_the_attempts_become_rare(path, broker, cloud):
    with size_limit(broker.port, lambda packet: packet[0] & 0xF0 != PUBLISH) as proxy:
        with sending(path, proxy.port) as (outbox, sender):
            outbox.append(small(30))
            sender.wake()
            until(lambda: "bytes or more: 30;" in sender.state.obstacle, 180)
            assert proxy.closed <= 2 + suspects.PROVEN
        assert not cloud.arrivals


@pytest.mark.parametrize("option", ["message_size_limit", "max_packet_size"])
def test_a_limit_of_mosquitto_stops_no_other_face(path, option):
    with (
        mosquitto(["allow_anonymous true", f"{option} {LIMIT}"]) as broker,
        connected_cloud(broker),
        sending(path, broker.port) as (outbox, sender),
    ):
        outbox.append([*small(3), *large(2), *small(20)])
        sender.wake()
        until(lambda: outbox.run_counts().stored == 23)
        until(lambda: "limit" in sender.state.obstacle)
        assert outbox.backlog()[0] == 2
