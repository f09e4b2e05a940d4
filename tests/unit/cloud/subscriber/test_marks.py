"""Subscribers record the numbers in each status, of hostile edges too."""

import gc
import json
import threading
import time

import pytest

from face_app.cloud.bucket import operations
from face_app.cloud.bucket.mark_object import MAX_OPENINGS, MAX_SEQUENCE, Mark, dump_marks, load_marks, merge_marks
from face_app.cloud.stores import open_store, s3_bucket
from face_app.cloud.subscriber.marks import (
    MAX_OUTBOXES,
    MAX_UNWRITTEN,
    MAX_WRITES,
    WRITES_PER_EDGE,
    MarkRecorder,
)
from face_app.common.errors import StoreError
from face_app.common.settings import Broker, CloudSettings, Store
from face_app.common.wire import STATUS_BYTES
from support.audits import BEGAN, token_of
from support.edge import edge as connected_edge
from support.mosquitto import mosquitto
from support.s3 import client

KEY = "marks/jetson/0badcafe/subscriber-1.json"


@pytest.fixture(params=["directory", "s3"])
def store(request, tmp_path, bucket_name):
    if request.param == "directory":
        return Store(kind="directory", path=tmp_path)
    server = request.getfixturevalue("weed_server")
    client(server.endpoint).create_bucket(Bucket=bucket_name)
    return Store(kind="s3", bucket=bucket_name, endpoint=server.endpoint, credentials_file=server.credentials)


@pytest.fixture
def folder(tmp_path):
    return Store(kind="directory", path=tmp_path)


def recorder(store, name="subscriber-1"):
    return MarkRecorder(CloudSettings(subscriber=name, store=store), open_store(store))


def status(sequence, opening="a1", first=1, outbox="0badcafe", **changes):
    given = {"id": outbox, "sequence": sequence, "opening": token_of(opening), "first": first, **changes}
    return json.dumps({"state": "online", "outbox": given}).encode()


def written(store, key=KEY):
    data = operations.reader(store)(key)
    return None if data is None else load_marks(data, key)


def test_records_the_highest_number_of_each_opening(store):
    marks = recorder(store)
    for sequence in (3, 7, 5):
        marks.add("status/jetson/door", status(sequence))
    marks.add("status/jetson/gate", status(9, "b2", first=8))
    assert written(store) is None
    marks.flush()
    assert written(store) == [Mark(1, 7, token_of("a1")), Mark(8, 9, token_of("b2"))]
    marks.add("status/jetson/door", status(12, "b2", first=8))
    marks.flush()
    assert written(store) == [Mark(1, 7, token_of("a1")), Mark(8, 12, token_of("b2"))]


def test_an_outbox_that_goes_back_has_two_openings(store):
    marks = recorder(store)
    marks.add("status/jetson/door", status(10))
    marks.add("status/jetson/door", status(8, "b2", first=7))
    marks.flush()
    assert written(store) == [Mark(1, 10, token_of("a1")), Mark(7, 8, token_of("b2"))]


def test_a_new_start_continues_the_mark(store):
    first = recorder(store)
    first.add("status/jetson/door", status(10))
    first.flush()
    second = recorder(store)
    second.add("status/jetson/door", status(4))
    second.add("status/jetson/door", status(12, "b2", first=11))
    second.flush()
    assert written(store) == [Mark(1, 10, token_of("a1")), Mark(11, 12, token_of("b2"))]


def test_two_of_one_name_do_not_undo_each_other(folder):
    """Two hosts, each with its own broker: the edge moves from one to the other and back."""
    here, there = recorder(folder), recorder(folder)
    here.add("status/jetson/door", status(10))
    here.flush()
    there.add("status/jetson/door", status(20))
    there.flush()
    here.add("status/jetson/door", status(16, "b2", first=16))
    here.flush()
    assert written(folder) == [Mark(1, 20, token_of("a1")), Mark(16, 16, token_of("b2"))]


def test_an_unchanged_status_is_not_written_again(folder, monkeypatch):
    marks = recorder(folder)
    marks.add("status/jetson/door", status(3))
    marks.flush()
    monkeypatch.setattr(marks, "_write", lambda *_: pytest.fail("written again"))
    for _ in range(3):
        marks.add("status/jetson/door", status(3))
        marks.flush()


def test_each_edge_and_subscriber_has_its_own_mark(folder):
    for name in ("subscriber-1", "subscriber-2"):
        marks = recorder(folder, name)
        for edge in ("jetson", "other"):
            marks.add(f"status/{edge}/door", status(3))
        marks.flush()
    assert sorted(operations.keys(folder, "marks/")) == [
        f"marks/{edge}/0badcafe/subscriber-{number}.json" for edge in ("jetson", "other") for number in (1, 2)
    ]


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("status/jetson/door", b""),
        ("status/jetson/door", b"[" * 10_000),
        ("status/jetson/door", b"[]"),
        ("status/jetson/door", b"{}"),
        ("status/jetson/door", b"\xff"),
        ("status/jetson/door", b'{"outbox": {"sequence": ' + b"9" * 5000 + b"}}"),
        ("status/jetson/door", status(3) + b" " * STATUS_BYTES),
        ("status/jetson/door", status(3, outbox="../../x")),
        ("status/jetson/door", status(3, outbox="0badcafe\n")),
        ("status/jetson/door", status(3, outbox=["0badcafe"])),
        ("status/jetson/door", status(True)),
        ("status/jetson/door", status(3.5)),
        ("status/jetson/door", status("3")),
        ("status/jetson/door", status(-1)),
        ("status/jetson/door", status(MAX_SEQUENCE + 1)),
        ("status/jetson/door", status(3, first=0)),
        ("status/jetson/door", status(3, first=4)),
        ("status/jetson/door", status(3, "XYZ")),
        ("status/jetson/door", status(3, "a" * 17)),
        ("status/jetson", status(3)),
        ("status/jetson/door/x", status(3)),
        ("status/../door", status(3)),
        ("status/jetson/door\n", status(3)),
    ],
)
def test_a_status_without_a_valid_mark_changes_nothing(folder, topic, payload):
    gc.collect()  # in the deepest recursion, finalisers of what earlier tests left would fail
    marks = recorder(folder)
    marks.add(topic, payload)
    marks.flush()
    assert list(operations.keys(folder, "")) == []


def test_a_hostile_edge_is_bounded(folder, caplog):
    """It draws outboxes and openings without end. Another edge's mark is written meanwhile."""
    marks = recorder(folder)
    for number in range(3 * MAX_OUTBOXES):
        for opening in range(1, 2 * MAX_UNWRITTEN):
            marks.add("status/hostile/door", status(10**9, f"{opening:02x}", first=opening, outbox=f"{number:08x}"))
    marks.add("status/jetson/door", status(3))
    marks.flush()
    assert len(list(operations.keys(folder, "marks/hostile/"))) == WRITES_PER_EDGE
    assert written(folder) == [Mark(1, 3, token_of("a1"))]
    for _ in range(MAX_OUTBOXES):
        marks.flush()
    keys = list(operations.keys(folder, "marks/hostile/"))
    assert len(keys) == MAX_OUTBOXES
    assert len(written(folder, keys[0])) == MAX_UNWRITTEN
    # Another start has forgotten the outboxes; the bucket has not.
    again = recorder(folder)
    again.add("status/hostile/door", status(3, outbox="ffffffff"))
    again.add("status/hostile/door", status(3, outbox=f"{0:08x}"))
    again.flush()
    assert sorted(operations.keys(folder, "marks/hostile/")) == sorted(keys)
    assert "delete old ones under marks/hostile/" in caplog.text


def test_the_first_mark_of_each_edge_is_written_before_the_second_of_another(folder, monkeypatch):
    marks, keys = recorder(folder), []
    for number in range(WRITES_PER_EDGE):
        marks.add("status/hostile/door", status(3, outbox=f"{number:08x}"))
    marks.add("status/jetson/door", status(3))
    monkeypatch.setattr(marks, "_write", lambda key, _: keys.append(key.split("/")[1]))
    marks.flush()
    assert keys == ["hostile", "jetson"] + ["hostile"] * (WRITES_PER_EDGE - 1)


def test_edges_of_a_large_fleet_take_turns(folder, monkeypatch):
    """All have a new status all the time; the writes in a round are limited."""
    marks, keys, edges = recorder(folder), [], 3 * MAX_WRITES
    monkeypatch.setattr(marks, "_write", lambda key, _: keys.append(key.split("/")[1]))
    for flush in range(1, 4):
        for edge in range(edges):
            marks.add(f"status/edge-{edge}/door", status(flush))
        marks.flush()
        assert len(keys) == flush * MAX_WRITES
    assert sorted(keys) == sorted(f"edge-{edge}" for edge in range(edges))


def test_the_first_mark_of_an_edge_needs_no_new_client(store, monkeypatch):
    """A client takes 50 ms of CPU time: with a thousand edges the program answered its broker too late."""
    marks, made = recorder(store), []
    monkeypatch.setattr(s3_bucket, "connect", lambda *_, **__: made.append(1))
    for number in range(3):
        marks.add(f"status/edge-{number}/door", status(7))
    marks.flush()
    assert not made
    monkeypatch.undo()
    assert all(written(store, f"marks/edge-{number}/0badcafe/subscriber-1.json") for number in range(3))


def test_a_flood_of_states_waits_for_the_reader_as_one(folder):
    """While the reader is busy, a broker delivers the flood of one edge, then the status of another."""
    with mosquitto() as broker:
        settings = CloudSettings(store=folder, broker=Broker(host=broker.host, port=broker.port))
        marks = MarkRecorder(settings, open_store(folder))
        marks.start()
        deadline = time.monotonic() + 90
        while not marks._connections.subscribed:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with connected_edge(broker) as sender, marks._lock:
            for number in range(1, 301):
                sender.publish("status/hostile/door", status(number) + b" " * 10_000)
            sender.publish("status/jetson/door", status(7))
            while "jetson" not in marks._inbox._lanes:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert marks._inbox.bytes < 20_000
        marks.stop()
    assert written(folder) == [Mark(1, 7, token_of("a1"))]
    assert written(folder, KEY.replace("jetson", "hostile")) == [Mark(1, 300, token_of("a1"))]


def test_a_mark_has_a_limit_of_openings():
    given = [Mark(number, number + 5, f"{number:016x}") for number in range(1, 2 * MAX_OPENINGS)]
    kept = load_marks(dump_marks(merge_marks(given), BEGAN), KEY)
    assert kept == given[-MAX_OPENINGS:]


def test_a_store_that_is_down_gets_the_mark_later(folder, tmp_path, caplog):
    away = Store(kind="directory", path=tmp_path / "away")
    marks = recorder(away)
    marks.add("status/jetson/door", status(3))
    marks.flush()
    marks.flush()
    assert caplog.text.count("a mark is not written: store.path") == 1
    (tmp_path / "away").mkdir()
    marks.flush()
    assert written(away) == [Mark(1, 3, token_of("a1"))]


def test_an_object_that_is_no_mark_blocks_no_other(folder, tmp_path):
    (tmp_path / KEY).parent.mkdir(parents=True)
    (tmp_path / KEY).write_text("{}")
    marks = recorder(folder)
    for edge in ("jetson", "other"):
        marks.add(f"status/{edge}/door", status(3))
    marks.flush()
    assert (tmp_path / KEY).read_text() == "{}", "the audit names it, until an operator has seen it"
    assert written(folder, KEY.replace("jetson", "other")) == [Mark(1, 3, token_of("a1"))]


def test_a_status_may_arrive_during_a_write(folder, monkeypatch):
    marks = recorder(folder)
    marks.add("status/jetson/door", status(3))
    write = marks._write

    def slow(key, data):
        arrived = threading.Thread(target=marks.add, args=("status/jetson/door", status(5)))
        arrived.start()
        arrived.join()
        write(key, data)

    monkeypatch.setattr(marks, "_write", slow)
    marks.flush()
    assert written(folder) == [Mark(1, 3, token_of("a1"))]
    monkeypatch.setattr(marks, "_write", write)
    marks.flush()
    assert written(folder) == [Mark(1, 5, token_of("a1"))]


def test_replacing_an_object_leaves_no_other_file(folder, tmp_path):
    write = operations.writer(folder)
    for text in (b"one", b"two"):
        write("marks/a/b/c.json", text)
    assert (tmp_path / "marks/a/b/c.json").read_bytes() == b"two"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["c.json"]
    with pytest.raises(StoreError, match="does not exist"):
        operations.writer(Store(kind="directory", path=tmp_path / "none"))("marks/a/b/c.json", b"")
