"""Checks the sender with a real Mosquitto: it loses no face, and sends none again without need."""

import os
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from face_app.common.errors import OutboxDamagedError
from face_app.common.settings import EdgeSettings, OutboxFile
from face_app.common.wire import Receipt, dump_receipts, hop_topics
from face_app.edge import metrics
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.uplink.sender import Sender
from support.cloud import cloud as connected_cloud
from support.cloud import stored
from support.mosquitto import mosquitto
from support.new_faces import new_face
from support.ports import free_port
from support.processes import process


def settings(path, port, **sender):
    return EdgeSettings(
        edge="jetson",
        outbox={"path": path},
        broker={"host": "127.0.0.1", "port": port},
        sender={"resend_after": 0.5, **sender},
    )


@contextmanager
def sending(path, port, **sender):
    with Outbox(OutboxFile(path=path)) as outbox, Sender(settings(path, port, **sender), outbox) as running:
        yield outbox, running


def until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.02)


def add(outbox, sender, count):
    faces = outbox.append([new_face() for _ in range(count)])
    sender.wake()
    return faces


def all_stored(outbox):
    return lambda: outbox.backlog()[0] == 0


def copies(cloud):
    return Counter(face.sequence for face in cloud.arrivals)


def test_sends_each_face_once_and_receipts_empty_the_outbox(path, broker, cloud):
    with sending(path, broker.port, resend_after=5) as (outbox, sender):
        faces = add(outbox, sender, 120)
        until(all_stored(outbox))
        assert copies(cloud) == dict.fromkeys(range(1, 121), 1)
        assert {stored(face).sha256 for face in cloud.arrivals} == {face.sha256 for face in faces}
        assert {face.topic for face in cloud.arrivals} == {"face_app/jetson/door"}
        assert outbox.run_counts().stored == 120
        assert sender.state.up
        assert sender.state.quiet < 5


def test_the_newest_faces_do_not_wait_for_the_backlog(path, broker, cloud):
    with Outbox(OutboxFile(path=path)) as outbox:
        for _ in range(30):
            outbox.append([new_face() for _ in range(10)])
    with sending(path, broker.port, window=20) as (outbox, sender):
        cloud.wait_for(30)
        before = len(cloud.arrivals)
        add(outbox, sender, 2)
        until(all_stored(outbox))
    order = [face.sequence for face in cloud.arrivals]
    assert sorted(order) == list(range(1, 303))
    assert {*range(1, 9), *range(293, 301)} == set(order[:16]), "both ends go first"
    assert max(order.index(301), order.index(302)) < before + 60


def test_sends_again_after_lost_receipts_with_growing_time_outs(path, broker, cloud):
    silent = Counter()

    def answer(face):
        silent[face.sequence] += 1
        return None if silent[face.sequence] <= 2 else stored(face)

    cloud.answer = answer
    with sending(path, broker.port) as (outbox, sender):
        started = time.monotonic()
        add(outbox, sender, 3)
        until(all_stored(outbox))
        assert time.monotonic() - started > 0.5 + 1.0
        assert copies(cloud) == {1: 3, 2: 3, 3: 3}


def test_no_more_faces_than_the_window_are_in_flight(path, broker, cloud):
    cloud.answer = lambda _: None
    with sending(path, broker.port, window=7, resend_after=60) as (outbox, sender):
        add(outbox, sender, 20)
        cloud.wait_for(7)
        time.sleep(0.7)
        assert copies(cloud) == dict.fromkeys([1, 2, 3, 17, 18, 19, 20], 1)


def test_faces_that_get_no_receipt_do_not_stop_the_others(path, broker, cloud):
    """A subscriber that fails on some faces acknowledges them without a receipt."""
    cloud.answer = lambda face: None if face.sequence % 2 else stored(face)
    with sending(path, broker.port, resend_after=0.2, resend_cap=2) as (outbox, sender):
        outbox.append([new_face() for _ in range(80)])
        sender.wake()
        until(lambda: outbox.run_counts().stored == 40)
        until(lambda: "faces without a receipt, although later ones have theirs: " in sender.state.obstacle)
        assert sender.state.aside > 16
        cloud.answer = stored
        until(all_stored(outbox))
        until(lambda: sender.state.aside == 0)  # it follows the commit of the receipts, as metrics do


def test_a_result_of_a_later_version_loses_no_face_and_stops_no_other(path, broker, cloud):
    cloud.answer = lambda face: replace(stored(face), result="stored" if face.sequence % 2 else "moved-away")
    with sending(path, broker.port, resend_after=0.2, resend_cap=2) as (outbox, sender):
        outbox.append([new_face() for _ in range(40)])
        sender.wake()
        until(lambda: outbox.run_counts().stored == 20)
        assert outbox.run_counts().waiting == 20
        cloud.answer = stored
        until(all_stored(outbox))


def test_an_erased_face_leaves_and_is_not_sent_again(path, broker, cloud):
    cloud.answer = lambda face: replace(stored(face), result="erased" if face.sequence == 2 else "stored")
    with sending(path, broker.port, resend_after=0.2) as (outbox, sender):
        before = metrics.ERASED._value.get()
        add(outbox, sender, 3)
        until(all_stored(outbox))
        counts = outbox.run_counts()
        assert (counts.stored, counts.erased, counts.waiting) == (2, 1, 0)
        until(lambda: metrics.ERASED._value.get() > before)
        assert metrics.ERASED._value.get() == before + 1
        add(outbox, sender, 1)  # a later face, so that a repeated one would have come
        until(lambda: outbox.run_counts().stored == 3)
        assert copies(cloud)[2] == 1


def test_a_receipt_with_another_hash_leaves_the_face_waiting(path, broker, cloud, caplog):
    cloud.answer = lambda face: Receipt(face.id, "0" * 64, "elsewhere", face.metadata.captured_at, "stored")
    with sending(path, broker.port, resend_after=60) as (outbox, sender):
        add(outbox, sender, 2)
        cloud.wait_for(2)
        cloud.publish("receipts/jetson/cloud", b"not a receipt")
        until(lambda: "receipts on receipts/jetson/cloud cannot be read" in caplog.text)
        assert outbox.backlog()[0] == 2


def test_a_refused_face_does_not_delay_the_others(path, broker, cloud, caplog):
    def answer(face):
        taken = stored(face)
        if face.sequence != 2:
            return taken
        return Receipt(None, taken.sha256, "quarantine/x", taken.at, "refused", "not-an-image")

    cloud.answer = answer
    with sending(path, broker.port, window=2) as (outbox, sender):
        add(outbox, sender, 4)
        until(all_stored(outbox))
        time.sleep(0.8)
        assert copies(cloud) == {1: 1, 2: 1, 3: 1, 4: 1}
        assert [face.state for face in outbox.run_faces()] == ["stored", "refused", "stored", "stored"]
    assert "is refused: not-an-image; its pixels stay in the outbox" in caplog.text


def test_a_bridged_sender_resends_only_while_the_uplink_is_up(path, broker, cloud):
    cloud.answer = lambda _: None
    forwarder, far = hop_topics("jetson")
    cloud.publish(forwarder, b"1", retain=True)
    cloud.publish(far, b"0", retain=True)
    with sending(path, broker.port, link="bridged") as (outbox, sender):
        add(outbox, sender, 5)
        cloud.wait_for(5)
        time.sleep(1.5)
        assert copies(cloud) == dict.fromkeys(range(1, 6), 1)
        assert not sender.state.up
        cloud.answer = stored
        opened = time.monotonic()
        cloud.publish(far, b"1", retain=True)
        until(all_stored(outbox))
        assert time.monotonic() - opened > 0.5
        assert copies(cloud) == dict.fromkeys(range(1, 6), 2)


def test_a_hop_report_after_a_receipt_counts(path, broker, cloud):
    """Both events wait in the queue when the sender takes the first."""
    forwarder, far = hop_topics("jetson")
    cloud.answer = lambda _: None
    for topic in (forwarder, far):
        cloud.publish(topic, b"1", retain=True)
    with sending(path, broker.port, link="bridged", resend_after=60) as (outbox, sender):
        add(outbox, sender, 1)
        (face,) = cloud.wait_for(1)
        until(lambda: sender.state.up)
        blocked, released = threading.Event(), threading.Event()
        sender._events.put(lambda: (blocked.set(), released.wait()))
        assert blocked.wait(90)
        before = sender._events.qsize()
        cloud.publish("receipts/jetson/cloud", dump_receipts([stored(face)]))
        cloud.publish(far, b"0", retain=True)
        until(lambda: sender._events.qsize() >= before + 2)
        released.set()
        until(all_stored(outbox))
        until(lambda: not sender.state.up)
        assert sender.state.hops == {far.rpartition("/")[2]: False, forwarder.rpartition("/")[2]: True}


def test_waits_for_a_broker_and_warns_meanwhile(path, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("face_app.edge.uplink.sender.UNREACHED_SECONDS", 0.5)
    port = free_port()
    with sending(path, port) as (outbox, sender):
        add(outbox, sender, 3)
        until(lambda: "faces wait: broker 127.0.0.1" in caplog.text)
        assert sender.state.obstacle == (
            f"broker 127.0.0.1:{port} is not reached: "
            "nothing listens there; check broker.host and broker.port, and start the broker"
        )
        with mosquitto(port=port) as broker, connected_cloud(broker) as cloud:
            until(all_stored(outbox))
            assert set(copies(cloud)) == {1, 2, 3}


def test_a_killed_broker_without_persistence_loses_no_face(path, tmp_path):
    """The broker had acknowledged the faces that it lost, so they are sent again."""
    with ExitStack() as stack:
        port = free_port()
        first = stack.enter_context(mosquitto(port=port))
        with sending(path, port) as (outbox, sender):
            add(outbox, sender, 30)
            until(lambda: len(sender._window) == 16 and not sender._window._unacknowledged)
            first.process.kill()
            first.process.wait()
            add(outbox, sender, 30)
            with mosquitto(port=port) as second, connected_cloud(second) as cloud:
                until(all_stored(outbox), 30)
                assert set(copies(cloud)) == set(range(1, 61))


def test_waits_for_a_subscriber(path, broker, caplog):
    with sending(path, broker.port) as (outbox, sender):
        add(outbox, sender, 1)
        until(lambda: "has no subscriber for a face" in caplog.text)
        assert outbox.backlog()[0] == 1
        with connected_cloud(broker):
            until(all_stored(outbox))


def test_waits_while_the_broker_rejects_faces(path, tmp_path, caplog):
    """Mosquitto answers each publish with 0x87; the faces wait, and go when its access list is corrected."""
    acl = tmp_path / "acl"
    acl.write_text("topic read #\n")
    with (
        mosquitto(["allow_anonymous true", f"acl_file {acl}"]) as broker,
        connected_cloud(broker) as cloud,
        sending(path, broker.port) as (outbox, sender),
    ):
        add(outbox, sender, 2)
        until(lambda: "rejects a face: Not authorized" in caplog.text)
        assert outbox.backlog()[0] == 2
        assert not cloud.arrivals
        acl.write_text("topic readwrite #\n")
        broker.process.send_signal(signal.SIGHUP)
        until(all_stored(outbox), 30)


def test_a_face_that_is_too_large_for_the_broker_does_not_delay_the_others(path, caplog):
    with (
        mosquitto(["allow_anonymous true", "max_packet_size 20000"]) as broker,
        connected_cloud(broker) as cloud,
        sending(path, broker.port) as (outbox, sender),
    ):
        outbox.append([new_face(), new_face(size=1500), new_face(), new_face()])
        sender.wake()
        until(lambda: outbox.run_counts().stored == 3)
        assert "faces larger than broker" in sender.state.obstacle
        assert "accepts, 20000 bytes: 1; raise its limit. Other faces pass" in caplog.text
        assert set(copies(cloud)) == {1, 3, 4}
        assert outbox.backlog()[0] == 1


def test_reports_a_permanent_refusal(path, tmp_path):
    with mosquitto(["allow_anonymous false"]) as broker, sending(path, broker.port) as (outbox, sender):
        add(outbox, sender, 1)
        until(lambda: sender.state.refused)
        assert "refuses the connection: Not authorized" in sender.state.obstacle
        assert outbox.backlog()[0] == 1


SENDING = """
import sys, logging
from pathlib import Path
from face_app.common.settings import EdgeSettings
from face_app.edge.commands import send
logging.basicConfig(level="INFO")
send.run(EdgeSettings(edge="jetson", outbox={"path": sys.argv[1]}, broker={"host": "127.0.0.1", "port": sys.argv[2]}),
         until_empty=False)
"""


def test_elects_one_sender_per_outbox_and_another_when_it_ends(path, tmp_path, broker, cloud):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command, log = [sys.executable, "-c", SENDING, path, str(broker.port)], tmp_path / "log"
    with process(command, log, env=environment) as other:
        until(lambda: "connected to broker" in log.read_text())
        with sending(path, broker.port, resend_after=5) as (outbox, sender):
            add(outbox, sender, 10)
            until(all_stored(outbox))
            assert not sender.state.elected
            assert sender.state.obstacle.startswith("another process sends")
            assert set(copies(cloud).values()) == {1}
            other.kill()
            other.wait()
            add(outbox, sender, 10)
            until(all_stored(outbox))
            assert sender.state.elected
            assert set(copies(cloud)) == set(range(1, 21))


def test_a_locked_outbox_delays_receipts_and_loses_none(path, broker, cloud, caplog):
    with sending(path, broker.port, resend_after=60) as (outbox, sender):
        outbox._connection.execute("PRAGMA busy_timeout = 50")
        cloud.answer = lambda _: None
        add(outbox, sender, 3)
        cloud.wait_for(3)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for face in list(cloud.arrivals):
            cloud.publish("receipts/jetson/cloud", dump_receipts([stored(face)]))
        until(lambda: "the sender tries again in" in caplog.text)
        other.execute("ROLLBACK")
        until(all_stored(outbox))
        assert copies(cloud) == {1: 1, 2: 1, 3: 1}


def test_sends_faces_of_an_earlier_edge_name(path, broker, cloud):
    with Outbox(OutboxFile(path=path)) as outbox:
        outbox.append([new_face(edge="before") for _ in range(3)])
    with sending(path, broker.port) as (outbox, sender):
        add(outbox, sender, 1)
        until(all_stored(outbox))
    assert {face.topic for face in cloud.arrivals} == {"face_app/before/door", "face_app/jetson/door"}


def test_check_raises_damage_found_while_sending(path):
    with Outbox(OutboxFile(path=path)) as outbox:
        outbox.append([new_face(size=200) for _ in range(50)])
    port = free_port()
    with sending(path, port) as (outbox, sender):
        until(lambda: sender.state.elected)
        with path.open("r+b") as file:
            file.seek(30 * 4096)
            file.write(b"\xa5" * 30 * 4096)
        with mosquitto(port=port) as broker, connected_cloud(broker):
            until(lambda: "is damaged" in sender.state.obstacle)
        with pytest.raises(OutboxDamagedError, match="the next start"):
            sender.check()
    with mosquitto(port=port) as broker, connected_cloud(broker) as cloud, sending(path, port) as (outbox, _):
        until(all_stored(outbox))
        assert len(cloud.arrivals) >= 5


def test_stops_quickly_without_a_broker(path):
    started = time.monotonic()
    with sending(path, free_port()):
        pass
    assert time.monotonic() - started < 30
