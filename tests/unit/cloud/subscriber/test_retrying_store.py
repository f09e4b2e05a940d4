"""Waiting for a store: without a limit, reported once, woken at once."""

import logging
import threading
import time
from itertools import repeat

import pytest
from prometheus_client import CollectorRegistry, Histogram

from face_app.cloud.stores.directory import DirectoryStore
from face_app.cloud.subscriber import retrying_store
from face_app.cloud.subscriber.retrying_store import RetryingStore, StoppedError
from face_app.common.errors import StoreError
from support.faces import drawn_face


class Moody:
    """A directory store with one switch for reading and one for writing."""

    def __init__(self, path):
        self.folder = DirectoryStore(path)
        self.puts, self.checks, self.calls = "", "", 0

    def put(self, key, data, sha256):
        self.calls += 1
        if self.puts:
            raise StoreError(self.puts)
        return self.folder.put(key, data, sha256)

    def check(self):
        if self.checks:
            raise StoreError(self.checks)


@pytest.fixture
def moody(tmp_path):
    return Moody(tmp_path)


@pytest.fixture
def stopped(moody):
    store = RetryingStore(moody, Histogram("seconds", "Seconds.", registry=CollectorRegistry()))
    yield store
    store.stop()


@pytest.fixture
def store(stopped):
    """It has passed its first check."""
    stopped.start()
    wait_until(lambda: not stopped.problem)
    return stopped


def put_in_thread(store, face):
    result = []

    def put():
        try:
            result.append(store.put(face.key, face.payload, face.sha256).outcome)
        except StoppedError:
            result.append("stopped")

    thread = threading.Thread(target=put)
    thread.start()
    return thread, result


def wait_until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_put_waits_and_each_change_is_logged_once(moody, store, monkeypatch, caplog):
    monkeypatch.setattr(retrying_store, "ATTEMPTS", 1000)
    monkeypatch.setattr(retrying_store, "MAX_PAUSE", 0.02)
    caplog.set_level(logging.INFO, "face_app.cloud")
    moody.puts = "the disk is full"
    thread, result = put_in_thread(store, drawn_face())
    wait_until(lambda: moody.calls > 5)
    assert store.problem == "the disk is full"
    moody.puts = ""
    thread.join(90)
    assert result == ["created"]
    assert store.problem == ""
    assert [record.getMessage() for record in caplog.records] == [
        "the disk is full (faces wait; retrying)",
        "the store works",
    ]


def test_reports_a_lasting_problem_again(moody, store, monkeypatch, caplog):
    monkeypatch.setattr(retrying_store, "ATTEMPTS", 1000)
    monkeypatch.setattr(retrying_store, "MAX_PAUSE", 0.01)
    monkeypatch.setattr(retrying_store, "REPEAT_SECONDS", 0.2, raising=False)
    moody.puts = "the disk is full"
    put_in_thread(store, drawn_face())
    wait_until(lambda: caplog.text.count("the disk is full") >= 3)
    assert moody.calls > 6


def test_one_success_wakes_all_writers(moody, store, monkeypatch):
    monkeypatch.setattr(retrying_store, "pauses", lambda _: repeat(60.0))
    moody.puts = "down"
    waiting = [put_in_thread(store, drawn_face(number)) for number in (1, 2, 3)]
    wait_until(lambda: moody.calls == 3)
    time.sleep(0.1)
    moody.puts = ""
    face = drawn_face(4)
    store.put(face.key, face.payload, face.sha256)
    for thread, result in waiting:
        thread.join(90)
        assert result == ["created"]


def test_stop_ends_the_waiting(moody, store):
    moody.puts = "down"
    thread, result = put_in_thread(store, drawn_face())
    wait_until(lambda: moody.calls)
    store.stop()
    thread.join(90)
    assert result == ["stopped"]


def test_checks_report_a_problem_before_the_first_face(moody, stopped, monkeypatch):
    store = stopped
    monkeypatch.setattr(retrying_store, "MAX_PAUSE", 0.01)
    assert store.problem == "the store was not checked yet"
    moody.checks = "no bucket is mounted there"
    store.start()
    wait_until(lambda: store.problem == "no bucket is mounted there")
    moody.checks = ""
    wait_until(lambda: store.problem == "")


def test_nothing_is_stored_before_a_check_has_succeeded(moody, stopped, monkeypatch):
    monkeypatch.setattr(retrying_store, "MAX_PAUSE", 0.01)
    moody.checks = "the address contains the bucket"
    thread, result = put_in_thread(stopped, drawn_face())
    stopped.start()
    wait_until(lambda: stopped.problem == "the address contains the bucket")
    time.sleep(0.2)
    assert moody.calls == 0
    moody.checks = ""
    thread.join(90)
    assert (result, moody.calls) == (["created"], 1)


def test_a_put_in_progress_does_not_clear_the_problem_of_a_check(moody, store, monkeypatch):
    state = store._state
    monkeypatch.setattr(moody, "put", lambda *_: state.failed("check", "another bucket is mounted there"))
    store.put("a", b"", "")
    assert store.problem == "another bucket is mounted there"
    thread, result = put_in_thread(store, drawn_face())
    store.stop()
    thread.join(90)
    assert result == ["stopped"]


class Panic(BaseException):
    """Stands for the panic of native code, which is no `Exception`."""


@pytest.mark.parametrize("error", [KeyError("ETag"), Panic("invalid address")])
def test_an_unexpected_error_does_not_end_the_checks(moody, stopped, monkeypatch, error):
    store = stopped

    def fail():
        raise error

    monkeypatch.setattr(retrying_store, "MAX_PAUSE", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(moody, "check", fail)
        store.start()
        wait_until(lambda: store.problem == f"the check of the store failed: {error!r}")
    wait_until(lambda: store.problem == "")


def test_a_store_that_only_reads_is_not_called_well(moody, store, monkeypatch):
    monkeypatch.setattr(retrying_store, "CHECK_SECONDS", 0.01)
    moody.puts = "may not write"
    put_in_thread(store, drawn_face())
    wait_until(lambda: store.problem == "may not write")
    store.start()
    time.sleep(0.2)
    assert store.problem == "may not write"


def test_reports_a_put_that_hangs(moody, store, monkeypatch):
    monkeypatch.setattr(retrying_store, "HANGS_AFTER", 0.1)
    release = threading.Event()
    monkeypatch.setattr(moody, "put", lambda *_: release.wait())
    store.start()
    wait_until(lambda: store.problem == "")
    thread = threading.Thread(target=store.put, args=("a", b"", ""))
    thread.start()
    wait_until(lambda: "has not answered for" in store.problem)
    release.set()
    thread.join(90)


class Picky(Moody):
    """Rejects one key, whatever else it accepts."""

    def __init__(self, path, rejected):
        super().__init__(path)
        self.rejected, self.attempts, self.listings = rejected, 0, 0

    def put(self, key, data, sha256):
        if key == self.rejected:
            self.attempts += 1
            raise StoreError("too large")
        return super().put(key, data, sha256)

    def check(self):
        self.listings += 1
        super().check()


REJECTED = drawn_face(1)


@pytest.fixture
def moody_about_one(tmp_path):
    return Picky(tmp_path, REJECTED.key)


@pytest.fixture
def picky(moody_about_one, monkeypatch):
    """It has passed its first check; the next one is not due before the end of a test."""
    monkeypatch.setattr(retrying_store, "CHECK_SECONDS", 600.0)
    monkeypatch.setattr(retrying_store, "PROOF_SECONDS", 90.0, raising=False)
    store = RetryingStore(moody_about_one, Histogram("seconds", "Seconds.", registry=CollectorRegistry()))
    store.start()
    wait_until(lambda: not store.problem)
    yield store
    store.stop()


def put_rejected(store):
    """Put the rejected face in a thread, which adds the final error to the returned list."""
    errors = []

    def put():
        try:
            store.put(REJECTED.key, REJECTED.payload, REJECTED.sha256)
        except (StoreError, StoppedError) as error:
            errors.append(str(error))

    thread = threading.Thread(target=put)
    thread.start()
    return thread, errors


def put_other(store, number):
    face = drawn_face(number)
    assert store.put(face.key, face.payload, face.sha256).outcome == "created"


def test_an_object_that_is_rejected_while_others_pass_retains_its_backoff(moody_about_one, picky, caplog):
    caplog.set_level(logging.INFO, "face_app.cloud")
    put_other(picky, 2)
    since, listings, started = picky.works_since, moody_about_one.listings, time.monotonic()
    thread, errors = put_rejected(picky)
    for number in range(3, 103):
        put_other(picky, number)
        assert (picky.problem, picky.works_since) == ("", since)
        thread.join(0.06)
    thread.join(60)
    assert (errors, moody_about_one.attempts) == (["too large"], 4)
    assert time.monotonic() - started >= 1 + 2 + 4
    assert (picky.works_since, moody_about_one.listings) == (since, listings)
    assert [record.getMessage() for record in caplog.records] == [
        "too large (the object waits, others passed; retrying)",
    ]


def test_an_object_that_is_rejected_first_ends_its_backoff_once(moody_about_one, picky, monkeypatch, caplog):
    """Before another face passes, the store may be the cause."""
    monkeypatch.setattr(retrying_store, "pauses", lambda _: repeat(60.0))
    caplog.set_level(logging.INFO, "face_app.cloud")
    thread, errors = put_rejected(picky)
    wait_until(lambda: picky.problem == "too large")
    put_other(picky, 2)
    wait_until(lambda: len(caplog.records) == 3)
    since = picky.works_since
    for number in range(3, 13):
        put_other(picky, number)
    assert (picky.problem, picky.works_since, moody_about_one.attempts) == ("", since, 2)
    picky.stop()
    thread.join(90)
    assert errors == [""]
    assert [record.getMessage() for record in caplog.records] == [
        "too large (faces wait; retrying)",
        "the store works",
        "too large (the object waits, others passed; retrying)",
    ]


def test_reports_a_store_that_accepts_nothing_any_more(moody, store, monkeypatch):
    monkeypatch.setattr(retrying_store, "ATTEMPTS", 1000)
    monkeypatch.setattr(retrying_store, "MAX_PAUSE", 0.02)
    monkeypatch.setattr(retrying_store, "PROOF_SECONDS", 0.2, raising=False)
    put_other(store, 1)
    moody.puts = "the disk is full"
    thread, result = put_in_thread(store, drawn_face(2))
    wait_until(lambda: store.problem == "the disk is full")
    moody.puts = ""
    thread.join(90)
    assert (result, store.problem) == (["created"], "")
