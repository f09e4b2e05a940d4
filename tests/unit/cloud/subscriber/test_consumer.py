"""Messages through a real broker into real stores."""

import hashlib
import json
import signal
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from prometheus_client import CollectorRegistry

from face_app.cloud.bucket.selection import parse_selection
from face_app.cloud.bucket.tombstone import TOMBSTONES, Tombstone, dump_tombstone
from face_app.cloud.stores import open_store
from face_app.cloud.subscriber import retrying_store
from face_app.cloud.subscriber.consumer import Consumer
from face_app.cloud.subscriber.metrics import SubscriberMetrics, total
from face_app.common.errors import MessageError, StoreError
from face_app.common.health_server import Capability
from face_app.common.metadata import write_metadata
from face_app.common.settings import Broker, CloudSettings, Store
from support.edge import edge as connected_edge
from support.faces import drawn_face, picture
from support.mosquitto import OPEN, PLUGIN, mosquitto
from support.moto_s3 import moto_s3
from support.ports import free_port
from support.s3 import client

FACE = drawn_face()


@pytest.fixture
def broker():
    with mosquitto() as broker:
        yield broker


@pytest.fixture
def edge(broker):
    with connected_edge(broker) as edge:
        yield edge


@contextmanager
def consuming(broker, store, *, opened=None, **changes):
    settings = CloudSettings(
        subscriber=changes.pop("subscriber", "s1"),
        store=store,
        broker=Broker(host=broker.host, port=broker.port, keepalive=5),
        **changes,
    )
    metrics = SubscriberMetrics(CollectorRegistry())
    consumer = Consumer(settings, opened or open_store(store), metrics)
    consumer.metrics = metrics
    consumer.start()
    try:
        wait_until(lambda: f"Sending SUBACK to subscriber-{settings.subscriber}" in broker.log.read_text())
        yield consumer
    finally:
        consumer.stop()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "store").mkdir()
    return Store(kind="directory", path=tmp_path / "store")


def objects_in(store):
    return {
        str(file.relative_to(store.path)): file.read_bytes()
        for file in store.path.rglob("*")
        if file.is_file() and ".incoming" not in file.parts
    }


def wait_until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def check_good_face(broker, edge, store):
    with consuming(broker, store) as consumer:
        edge.send(FACE)
        (receipt,) = edge.wait_for_receipts(1)
        wait_until(lambda: consumer.health().ready)
        assert consumer.health().facts["stored"] == 1
        assert consumer.health().capabilities == {Capability.OBJECTS}
    assert (receipt.id, receipt.sha256, receipt.key) == (FACE.id, FACE.sha256, FACE.key)
    assert (receipt.result, receipt.reason) == ("stored", "")
    assert edge.topics == ["receipts/jetson/s1"]


def test_a_good_face_becomes_a_file_and_a_receipt(broker, edge, folder):
    check_good_face(broker, edge, folder)
    assert objects_in(folder) == {FACE.key: FACE.payload}


def test_a_good_face_becomes_an_object_and_a_receipt(broker, edge, made, s3):
    check_good_face(broker, edge, made)
    assert s3.get_object(Bucket=made.bucket, Key=FACE.key)["Body"].read() == FACE.payload


def test_a_copy_has_its_receipt_and_makes_no_second_object(broker, edge, folder):
    face = drawn_face()
    with consuming(broker, folder) as consumer:
        edge.send(face)
        edge.wait_for_receipts(1)
        edge.send(face)
        first, second = edge.wait_for_receipts(2)
        assert first == second
        assert (total(consumer.metrics.stored), total(consumer.metrics.copies)) == (1, 1)
    with consuming(broker, folder) as consumer:  # without the memory of the first
        edge.send(face)
        edge.wait_for_receipts(3)
        assert (total(consumer.metrics.stored), total(consumer.metrics.copies)) == (0, 1)
    assert objects_in(folder) == {face.key: face.payload}


class Slow:
    """A folder that stores one object and then waits to be let go."""

    def __init__(self, store):
        self.store, self.puts, self.go = open_store(store), 0, threading.Event()

    def check(self):
        self.store.check()

    def put(self, key, data, sha256):
        self.puts += 1
        stored = self.store.put(key, data, sha256)
        assert self.go.wait(90)
        return stored


def test_copies_that_come_while_the_face_is_being_stored_are_answered_too(broker, edge, folder):
    face, slow = drawn_face(), Slow(folder)
    with consuming(broker, folder, opened=slow) as consumer:
        edge.send(face, face, face)
        wait_until(lambda: slow.puts == 1 and consumer.health().facts["waiting"] == 0)
        time.sleep(0.2)
        assert edge.receipts == []
        slow.go.set()
        assert len(edge.wait_for_receipts(3)) == 3
        assert slow.puts == 1


@pytest.mark.parametrize(
    ("topic", "payload", "reason", "face"),
    [
        (FACE.topic, b"", "empty", None),
        (FACE.topic, b"garbage", "not-an-image", None),
        (FACE.topic, b"x" * 300_000, "too-large", None),
        (FACE.topic, picture(), "no-metadata", None),
        ("face_app/jetson/door/deeper", FACE.payload, "foreign-topic", FACE.id),
        (FACE.topic, write_metadata(picture(), FACE.id, replace(FACE.metadata, edge="other")), "wrong-edge", FACE.id),
    ],
)
def test_a_bad_message_is_quarantined_and_refused_and_the_next_one_is_stored(  # noqa: PLR0917
    broker, edge, folder, topic, payload, reason, face
):
    sha256 = hashlib.sha256(payload).hexdigest()
    with consuming(broker, folder, max_bytes=200_000) as consumer:
        edge.publish(topic, payload)
        (receipt,) = edge.wait_for_receipts(1)
        edge.send(FACE)
        edge.wait_for_receipts(2)
        wait_until(lambda: consumer.health().ready)
        assert consumer.metrics.refused.labels(reason)._value.get() == 1
    assert (receipt.result, receipt.reason, receipt.id, receipt.sha256) == ("refused", reason, face, sha256)
    assert edge.topics[0] == "receipts/jetson/s1"
    assert objects_in(folder) == {f"quarantine/jetson/{reason}/{sha256}.bin": payload, FACE.key: FACE.payload}
    assert receipt.key in objects_in(folder)


def test_stores_a_bare_image_of_the_original_homework_without_a_receipt(broker, edge, folder):
    with consuming(broker, folder):
        edge.publish("face_app/test", picture("PNG"))
        edge.publish("face_app/test", b"garbage")
        wait_until(lambda: folder.path.exists() and len(objects_in(folder)) == 2)
        edge.send(FACE)
        edge.wait_for_receipts(1)
    assert edge.topics == ["receipts/jetson/s1"]
    seed = next(key for key in objects_in(folder) if key.startswith("test/seed/"))
    assert seed.endswith(f"/face-{hashlib.sha256(picture('PNG')).hexdigest()[:12]}.png")
    assert objects_in(folder)[seed] == picture("PNG")


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(retrying_store, "MAX_PAUSE", 0.3)


@pytest.mark.usefixtures("impatient")
def test_a_store_that_fails_and_heals_loses_nothing_and_says_why(broker, edge, tmp_path, bucket_name):
    port, faces = free_port(), [drawn_face(number) for number in range(1, 31)]
    credentials = tmp_path / "credentials"
    credentials.write_text("key:secret\n")
    endpoint = f"http://127.0.0.1:{port}"
    store = Store(kind="s3", bucket=bucket_name, endpoint=endpoint, credentials_file=credentials)
    with consuming(broker, store, receive_maximum=5) as consumer:
        edge.send(*faces)
        wait_until(lambda: "does not answer" in consumer.health().reason)
        assert not consumer.health().ready
        wait_until(lambda: not consumer.health().capabilities)  # the store may fail before a message arrives
        assert consumer.health().facts["waiting"] <= 5
        with moto_s3(tmp_path, port=port):
            wait_until(lambda: "does not exist" in consumer.health().reason, 20)
            s3 = client(endpoint)
            s3.create_bucket(Bucket=bucket_name)
            edge.resend_until_answered(*faces)
            wait_until(lambda: consumer.health().ready)
            found = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket_name)["Contents"]]
            assert sorted(found) == sorted(face.key for face in faces)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("server", ["weed"], indirect=True)
def test_an_address_that_contains_the_bucket_stores_nothing(broker, edge, made, s3):
    """The store would accept each face under a wrong key; settings refuse this address, the check must too."""
    wrong = made.model_copy(update={"endpoint": f"{made.endpoint}/{made.bucket}"})
    with consuming(broker, made, opened=open_store(wrong)) as consumer:
        edge.send(FACE)
        wait_until(lambda: "store.endpoint" in consumer.health().reason)
        time.sleep(1)
        assert (edge.receipts, consumer.health().ready) == ([], False)
    assert "Contents" not in s3.list_objects_v2(Bucket=made.bucket)
    with consuming(broker, made):
        edge.wait_for_receipts(1)


@pytest.mark.usefixtures("impatient")
def test_the_broker_restarts_while_faces_wait_for_the_store(folder, tmp_path):
    port, home = free_port(), tmp_path / "broker"
    home.mkdir()
    lines = [*OPEN, "persistence true", "max_queued_messages 0"]
    faces = [drawn_face(number) for number in range(1, 41)]
    slow = Slow(folder)
    with ExitStack() as brokers:
        broker = brokers.enter_context(mosquitto(lines, port=port, folder=home))
        with consuming(broker, folder, opened=slow, workers=6) as consumer, connected_edge(broker) as edge:
            edge.send(*faces)
            wait_until(lambda: slow.puts == 4)
            brokers.close()
            wait_until(lambda: not consumer.links[0].connection.connected)
            slow.go.set()
            brokers.enter_context(mosquitto(lines, port=port, folder=home))
            edge.wait_for_faces(len(faces))
            assert consumer.health().ready
    assert objects_in(folder) == {face.key: face.payload for face in faces}


@pytest.mark.usefixtures("impatient")
def test_a_broker_killed_before_it_answers_a_receipt_gives_the_face_again(folder, tmp_path):
    port, home, acknowledged = free_port(), tmp_path / "broker", []
    home.mkdir()
    lines = [*OPEN, "persistence true", "max_queued_messages 0"]
    slow = Slow(folder)
    with ExitStack() as brokers:
        broker = brokers.enter_context(mosquitto(lines, port=port, folder=home))
        with consuming(broker, folder, opened=slow) as consumer, connected_edge(broker) as edge:
            acknowledge = consumer.links[0].connection.acknowledge
            consumer.links[0].connection.acknowledge = lambda *which: (acknowledged.append(which), acknowledge(*which))
            edge.send(FACE)
            wait_until(lambda: slow.puts == 1)
            broker.process.send_signal(signal.SIGUSR1)
            wait_until(lambda: "Saving in-memory database" in broker.log.read_text())
            time.sleep(0.2)
            broker.process.send_signal(signal.SIGSTOP)
            slow.go.set()
            wait_until(lambda: consumer.metrics.receipts_in_flight._value.get() == 1)
            time.sleep(0.3)
            assert acknowledged == []
            broker.process.kill()
            wait_until(lambda: not consumer.links[0].connection.connected)
            brokers.close()
            broker = brokers.enter_context(mosquitto(lines, port=port, folder=home))
            edge.wait_for_receipts(1)
            wait_until(lambda: total(consumer.metrics.copies) == 1)
            wait_until(lambda: [epoch for _, epoch in acknowledged][-1:] == [consumer.links[0].connection.epoch])
            assert (slow.puts, total(consumer.metrics.stored)) == (1, 1)
            wait_until(lambda: consumer.health().ready)
    assert objects_in(folder) == {FACE.key: FACE.payload}


def test_receipts_of_many_faces_come_in_few_messages(broker, edge, folder):
    edges = ("jetson", "nano", "orin")
    faces = [drawn_face(number, edge=name) for name in edges for number in range(1, 31)]
    slow = Slow(folder)
    with consuming(broker, folder, opened=slow, workers=64) as consumer:
        edge.send(*faces)
        wait_until(lambda: slow.puts >= 48)  # three edges with a share of 16 each
        slow.go.set()
        receipts = edge.wait_for_receipts(len(faces))
        wait_until(lambda: consumer.metrics.receipts_in_flight._value.get() == 0)
    assert {receipt.key for receipt in receipts} == set(objects_in(folder)) == {face.key for face in faces}
    assert set(edge.topics) == {f"receipts/{name}/s1" for name in edges}
    assert len(edge.topics) <= len(faces) / 3


@pytest.mark.skipif(PLUGIN is None, reason="Mosquitto's dynamic security plugin is not installed")
def test_a_connected_subscriber_without_its_subscription_is_not_ready(folder, tmp_path):
    rules = tmp_path / "rules.json"
    access = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False}
    rules.write_text(json.dumps({"defaultACLAccess": access}))
    lines = [*OPEN, f"plugin {PLUGIN}", f"plugin_opt_config_file {rules}"]
    with mosquitto(lines) as broker, consuming(broker, folder) as consumer:
        wait_until(lambda: "refuses the subscription to face_app/# " in consumer.health().reason)
        state = consumer.health()
        assert (state.ready, state.facts["connected"], state.facts["subscribed"]) == (False, True, False)


def test_subscribers_of_a_group_share_the_faces(broker, edge, folder):
    faces = [drawn_face(number) for number in range(1, 41)]
    with consuming(broker, folder) as one, consuming(broker, folder, subscriber="s2") as two:
        edge.send(*faces)
        edge.wait_for_faces(len(faces))
        parts = [total(consumer.metrics.stored) for consumer in (one, two)]
    assert sum(parts) == len(faces)
    assert all(parts)
    assert set(edge.topics) == {"receipts/jetson/s1", "receipts/jetson/s2"}
    assert objects_in(folder) == {face.key: face.payload for face in faces}


def test_reports_receipts_that_the_broker_does_not_accept(folder, tmp_path):
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite face_app/#\ntopic read receipts/#\n")
    with (
        mosquitto([*OPEN, f"acl_file {rules}"]) as broker,
        connected_edge(broker) as edge,
        consuming(broker, folder) as consumer,
    ):
        edge.send(FACE)
        wait_until(lambda: "does not accept receipts on receipts/jetson/s1" in consumer.health().reason)
        assert "ACL" in consumer.health().reason
        assert total(consumer.metrics.receipts_refused) >= 1
        assert objects_in(folder) == {FACE.key: FACE.payload}


def test_a_face_whose_key_another_object_has_is_refused(broker, edge, folder):
    class Taken(Slow):
        def put(self, key, data, sha256):
            if key == FACE.key:
                raise MessageError("key-taken", "another object has the key")
            return self.store.put(key, data, sha256)

    with consuming(broker, folder, opened=Taken(folder)):
        edge.send(FACE)
        (receipt,) = edge.wait_for_receipts(1)
    assert (receipt.result, receipt.reason, receipt.id) == ("refused", "key-taken", FACE.id)
    assert objects_in(folder) == {f"quarantine/jetson/key-taken/{FACE.sha256}.bin": FACE.payload}


def test_an_object_that_is_gone_is_stored_again_and_not_answered_from_memory(broker, edge, folder, monkeypatch):
    monkeypatch.setattr("face_app.cloud.subscriber.deduplicator.RESULT_SECONDS", 0)
    with consuming(broker, folder):
        edge.send(FACE)
        edge.wait_for_receipts(1)
        (folder.path / FACE.key).unlink()
        edge.send(FACE)
        edge.wait_for_receipts(2)
    assert objects_in(folder) == {FACE.key: FACE.payload}


def test_an_edge_with_a_reserved_name_gets_no_object_under_it(broker, edge, folder):
    face = drawn_face(edge="quarantine")
    with consuming(broker, folder):
        edge.send(face)
        (receipt,) = edge.wait_for_receipts(1)
    assert (receipt.result, receipt.reason) == ("refused", "reserved-name")
    assert set(objects_in(folder)) == {f"quarantine/quarantine/reserved-name/{face.sha256}.bin"}


def test_beyond_its_limits_the_quarantine_has_no_copy_and_the_edge_its_receipt(broker, edge, folder, monkeypatch):
    monkeypatch.setattr("face_app.cloud.subscriber.quarantine.MAX_OBJECTS", 2)
    with consuming(broker, folder, workers=1) as consumer:
        for number in range(4):
            edge.publish(FACE.topic, b"garbage %d" % number)
        edge.publish("face_app/nano/door", b"garbage")
        receipts = edge.wait_for_receipts(5)
        assert total(consumer.metrics.not_copied) == 2
        assert total(consumer.metrics.refused) == 5
    assert {receipt.reason for receipt in receipts} == {"not-an-image"}
    assert sorted(receipt.key for receipt in receipts if receipt.key) == sorted(objects_in(folder))
    assert [receipt.key for receipt in receipts].count("") == 2


@pytest.mark.parametrize("rejected", [True, False], ids=["rejected by the store", "sent again"])
def test_the_quarantine_counts_objects_and_not_attempts(broker, edge, folder, monkeypatch, rejected):
    monkeypatch.setattr("face_app.cloud.subscriber.quarantine.MAX_OBJECTS", 2)
    monkeypatch.setattr("face_app.cloud.subscriber.deduplicator.RESULT_SECONDS", 0)
    with consuming(broker, folder, workers=1) as consumer:
        put, failures = consumer._store.put, iter(range(3))

        def reject_thrice(*values):
            if rejected and next(failures, None) is not None:
                raise StoreError("this object is rejected")
            return put(*values)

        monkeypatch.setattr(consumer._store, "put", reject_thrice)
        count = 1 if rejected else 3
        for number in range(count):
            edge.publish(FACE.topic, b"garbage")
            edge.wait_for_receipts(number + 1)
        edge.publish(FACE.topic, b"other garbage")
        receipts = edge.wait_for_receipts(count + 1)
        assert total(consumer.metrics.not_copied) == 0
    assert {receipt.key for receipt in receipts} == set(objects_in(folder))


class Panic(BaseException):
    """Stands for the panic of native code, which is no `Exception`."""


@pytest.mark.parametrize("error", [ZeroDivisionError, RecursionError, Panic, SystemExit])
def test_an_unexpected_error_does_not_end_the_worker(broker, edge, folder, caplog, error):
    class Broken(Slow):
        def put(self, key, data, sha256):
            if key == FACE.key:
                raise error
            return self.store.put(key, data, sha256)

    with consuming(broker, folder, opened=Broken(folder), workers=1) as consumer:
        edge.send(FACE, drawn_face(2))
        (receipt,) = edge.wait_for_receipts(1)
        assert receipt.id == drawn_face(2).id
        assert total(consumer.metrics.unexpected) == 1
    assert error.__name__ in caplog.text


def test_a_shortage_while_judging_refuses_nothing_and_the_next_copy_is_stored(broker, edge, folder, monkeypatch):
    def short(*_, **__):
        raise MemoryError

    with consuming(broker, folder, workers=1) as consumer:
        with monkeypatch.context() as patch:
            patch.setattr("face_app.cloud.subscriber.validate.read_image", short)
            edge.send(FACE)
            wait_until(lambda: total(consumer.metrics.unexpected) == 1)
        assert (edge.receipts, objects_in(folder)) == ([], {})
        edge.send(FACE)
        (receipt,) = edge.wait_for_receipts(1)
    assert receipt.result == "stored"
    assert objects_in(folder) == {FACE.key: FACE.payload}


def test_a_restart_forgets_earlier_decisions(broker, edge, folder, monkeypatch):
    """A face of a later schema is refused until the cloud is upgraded, and stored when the edge tries it again."""
    with monkeypatch.context() as patch:
        patch.setattr("face_app.common.metadata.SCHEMA", 0)
        with consuming(broker, folder):
            edge.send(FACE)
            assert edge.wait_for_receipts(1)[0].reason == "unknown-schema"
    with consuming(broker, folder):
        edge.send(FACE)
        assert edge.wait_for_receipts(2)[1].result == "stored"
    assert objects_in(folder)[FACE.key] == FACE.payload


def test_stop_does_not_wait_for_a_store_that_hangs(broker, edge, folder, monkeypatch):
    monkeypatch.setattr("face_app.cloud.subscriber.consumer.STOP_SECONDS", 0.3)
    slow = Slow(folder)
    with consuming(broker, folder, opened=slow):
        edge.send(FACE)
        wait_until(lambda: slow.puts == 1)
        began = time.monotonic()
    assert time.monotonic() - began < 30
    assert edge.receipts == []
    with consuming(broker, folder):
        assert edge.wait_for_receipts(1)[0].id == FACE.id
    slow.go.set()


@pytest.mark.usefixtures("impatient")
def test_stop_does_not_wait_for_a_store_that_is_down(broker, edge, folder, monkeypatch):
    monkeypatch.setattr("face_app.cloud.subscriber.consumer.STOP_SECONDS", 60)

    class Down(Slow):
        def check(self):
            raise StoreError("down")

        def put(self, key, data, sha256):
            raise StoreError("down")

    with consuming(broker, folder, opened=Down(folder)) as consumer:
        edge.send(FACE)
        wait_until(lambda: consumer.health().reason == "down")
        began = time.monotonic()
    assert time.monotonic() - began < 30
    with consuming(broker, folder):
        edge.wait_for_receipts(1)
    assert objects_in(folder) == {FACE.key: FACE.payload}


class Down:
    """A store that is down until `works` is set."""

    def __init__(self, store):
        self.store, self.works = store, threading.Event()

    def put(self, key, data, sha256):
        if not self.works.is_set():
            raise StoreError("down")
        return self.store.put(key, data, sha256)

    def check(self):
        if not self.works.is_set():
            raise StoreError("down")


def test_a_flapping_link_piles_nothing_up_while_the_store_is_down(broker, edge, folder):
    faces = [drawn_face(number) for number in range(1, 31)]
    down = Down(open_store(folder))
    with consuming(broker, folder, opened=down, workers=2) as consumer:
        connection = consumer.links[0].connection
        edge.send(*faces)
        for _ in range(4):
            wait_until(lambda: len(consumer._deliveries) >= 28)
            epoch = connection.epoch
            connection._client._sock.shutdown(2)
            wait_until(lambda before=epoch: connection.epoch > before and connection.connected, 20)
        wait_until(lambda: len(consumer._deliveries) >= 28)
        assert len(consumer._deliveries) <= 32
        down.works.set()
        edge.wait_for_faces(30)
    assert len(objects_in(folder)) == 30
    assert len(edge.receipts) <= 34


@pytest.mark.parametrize("size", [0, 100_000])
def test_messages_at_qos_0_are_bounded_while_the_store_is_down(broker, edge, folder, size):
    """They take no place of the receive window. Those over the share are dropped and counted."""
    down = Down(open_store(folder))
    with consuming(broker, folder, opened=down, workers=2, receive_maximum=20) as consumer:
        for number in range(200):
            edge._client.publish("face_app/hostile/door", number.to_bytes(2, "big") * (size // 2), qos=0)
        wait_until(lambda: total(consumer.metrics.dropped) >= 185)
        assert len(consumer._deliveries) <= 15
        assert not total(consumer.metrics.declined)
        edge.send(FACE)
        down.works.set()
        edge.wait_for_faces(1 if not size else 2)
    assert objects_in(folder)[FACE.key] == FACE.payload


def test_keys_that_cannot_be_stored_do_not_block_the_others(broker, edge, folder, monkeypatch):
    monkeypatch.setattr(retrying_store, "MAX_PAUSE", 0.05)
    (folder.path / "jetson").mkdir()
    (folder.path / "jetson" / "door").write_text("a file where a folder is needed")
    stuck = [drawn_face(number) for number in range(1, 7)]
    others = [drawn_face(number, camera="garden") for number in range(11, 21)]
    with consuming(broker, folder, workers=2) as consumer:
        wait_until(lambda: consumer._store._state.check_passed)
        edge.send(*stuck, *others)
        edge.wait_for_faces(10)
        assert {receipt.id for receipt in edge.receipts} == {face.id for face in others}
        (folder.path / "jetson" / "door").unlink()
        edge.wait_for_faces(16)
    assert len(objects_in(folder)) == 16


def test_a_face_of_a_tombstone_is_answered_erased_and_not_stored(broker, edge, folder):
    other = drawn_face(2)
    write_tombstone(folder, {"key": FACE.key})
    with consuming(broker, folder) as consumer:
        edge.send(FACE, FACE, other)
        receipts = {receipt.id: receipt for receipt in edge.wait_for_receipts(3)}
        assert (receipts[FACE.id].result, receipts[other.id].result) == ("erased", "stored")
        assert (receipts[FACE.id].sha256, receipts[FACE.id].key) == (FACE.sha256, FACE.key)
        assert consumer.health().facts["erased"] == 1
    assert objects_in(folder).keys() - {other.key} == {f"erased/{FACE.key}", *tombstones_in(folder)}


def test_a_refused_message_of_a_tombstone_is_erased_too(broker, edge, folder):
    write_tombstone(folder, {"edge": "jetson", "to": "2027-01-01"})
    with consuming(broker, folder):
        edge.publish("face_app/jetson/gate", FACE.payload)  # its file names the camera door
        edge.publish("face_app/jetson/gate", b"not an image")
        first, second = sorted(edge.wait_for_receipts(2), key=lambda receipt: receipt.result)
    assert (first.id, first.result, second.result) == (FACE.id, "erased", "refused")
    quarantined = [key for key in objects_in(folder) if key.startswith("quarantine/")]
    assert quarantined == [second.key]


def test_no_face_is_stored_before_the_tombstones_are_known(broker, edge, folder, tmp_path):
    """The store accepts objects, and its list of tombstones does not answer."""
    write_tombstone(folder, {"key": FACE.key})
    opened = open_store(folder)
    away = folder.model_copy(update={"path": tmp_path / "away"})
    with consuming(broker, away, opened=opened, erasure={"staleness": 0.5}) as consumer:
        edge.send(FACE)
        wait_until(lambda: "tombstones are not known" in consumer.health().reason)
        assert edge.receipts == []
        (tmp_path / "away").symlink_to(folder.path)
        (receipt,) = edge.wait_for_receipts(1)
    assert receipt.result == "erased"
    assert FACE.key not in objects_in(folder)


def test_a_tombstone_counts_that_comes_while_the_store_is_down(broker, edge, folder):
    slow = Slow(folder)
    with consuming(broker, folder, opened=slow, erasure={"staleness": 0.3}) as consumer:
        edge.send(FACE)
        wait_until(lambda: slow.puts == 1)
        write_tombstone(folder, {"key": FACE.key})
        wait_until(lambda: consumer._erasures.tombstones.by_key)
        slow.go.set()
        (receipt,) = edge.wait_for_receipts(1)
    assert receipt.result == "erased"


def write_tombstone(folder, values):
    tombstone = Tombstone(parse_selection(values), datetime.now(timezone.utc), "ada")
    open_store(folder).replace(tombstone.key, dump_tombstone(tombstone))


def tombstones_in(folder):
    return {key for key in objects_in(folder) if key.startswith(TOMBSTONES)}
