"""The file of notifications fails for a while: a full disk, or a lock."""

import json
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path

import pytest

from face_app.cloud.notifications.notifier import Notifier
from support.waiting import until

from .conftest import Desk
from .test_notifier import idle, plan, total

Fault = Callable[[Desk, Notifier], AbstractContextManager[None]]


@contextmanager
def locked(desk: Desk, notifier: Notifier) -> Iterator[None]:
    """Let another program hold the lock of the file."""
    with notifier._file._lock:
        notifier._file._connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(desk.file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


@contextmanager
def full(desk: Desk, _notifier: Notifier) -> Iterator[None]:
    """Fill the disk of the file."""
    ballast = desk.file.with_name("ballast")
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            pass
    try:
        yield
    finally:
        ballast.unlink()


@pytest.fixture
def small_desk(tmp_path: Path) -> Iterator[Desk]:
    """Return a desk on 8 MiB of tmpfs."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", tmp_path], check=False).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    desk = Desk(tmp_path)
    yield desk
    desk.end()
    subprocess.run(["umount", "-l", tmp_path], check=True)


def open_with_alarms(desk: Desk, *urls: str) -> Notifier:
    token = desk.urls_file.with_name("token")
    token.write_text("a-token-of-this-test-alone\n")
    return desk.open(*urls, start=False, cool_down=0, alerts_token_file=token)


def alarm(notifier: Notifier, name: str) -> None:
    one = {"status": "firing", "labels": {"alertname": name}, "fingerprint": name}
    assert notifier.alarms
    assert notifier.alarms.received(json.dumps({"version": "4", "alerts": [one]}).encode()).status == 200


def test_an_alarm_that_cannot_be_written_is_requested_again(desk):
    service = desk.receiver()
    notifier = open_with_alarms(desk, service.url)
    body = b'{"version": "4", "alerts": [{"status": "firing", "labels": {}, "fingerprint": "one"}]}'
    with locked(desk, notifier):
        answer = notifier.alarms.received(body)
    assert (answer.status, answer.text) == (503, "the alarms cannot be written: database is locked\n")
    assert notifier.alarms.received(body).text == "1 of 1 are new\n"


def check_recovery(desk: Desk, fault: Fault, cause: str) -> None:
    """Let the file fail while a face and an alarm wait; both arrive afterwards, and so do later ones."""
    service = desk.receiver()
    notifier = open_with_alarms(desk, service.url)
    desk.store(notifier, desk.face())
    alarm(notifier, "StoreDown")
    advice = "trying again; if this lasts, free space or restart the gallery"
    with fault(desk, notifier):
        notifier.start()
        until(lambda: len(notifier.problems()) == 2)
        of_faces, of_service = notifier.problems()
        assert of_faces == f"Notifications: no face is announced: {cause}; {advice}."
        assert of_service.startswith(f"Notifications: the file of notifications cannot be used: {cause}; {advice}; ")
        assert service.attempts == 0
    service.wait(2)
    until(lambda: not notifier.problems())
    desk.store(notifier, desk.face())
    alarm(notifier, "EdgeDown")
    service.wait(4)
    idle(notifier)
    expected = ["Alarm: EdgeDown", "Alarm: StoreDown", "Face at jetson/door", "Face at jetson/door"]
    assert sorted(service.titles) == expected
    assert notifier.problems() == []


def test_a_lock_that_ends_costs_no_message(desk):
    check_recovery(desk, locked, "database is locked")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_costs_no_message(small_desk):
    check_recovery(small_desk, full, "database or disk is full")


@pytest.mark.parametrize(("status", "result", "attempts"), [(200, "sent", 1), (503, "repeated", 2)])
def test_a_result_that_cannot_be_written_is_written_later(desk, monkeypatch, status, result, attempts):
    """What a service accepted is not sent again; what it refused is."""
    service = desk.receiver()
    service.status = status
    notifier = desk.open(service.url, start=False)
    face, before = desk.face(), total(result)
    with ExitStack() as failing:

        def fetch(_key: str) -> bytes:
            if not service.attempts:
                failing.enter_context(locked(desk, notifier))
            return face.payload

        monkeypatch.setattr(notifier._workers[0], "_fetch", fetch)
        desk.store(notifier, face)
        notifier.start()
        until(lambda: any("the file of notifications cannot be used" in text for text in notifier.problems()))
        assert service.attempts == 1
        service.status = 200
    service.wait(1)
    idle(notifier)
    until(lambda: not notifier.problems())
    assert (service.attempts, len(service.received)) == (attempts, 1)
    assert total(result) == before + 1


def test_a_message_that_never_left_is_sent_although_it_is_recorded_as_being_sent(desk):
    """A commit may fail after it has reached the disk; the worker did not get the message then."""
    service = desk.receiver()
    notifier = desk.open(service.url, start=False)
    desk.store(notifier, desk.face())
    plan(notifier, datetime.now(timezone.utc))
    assert notifier._deliveries.take(notifier._workers[0].service.id)
    notifier.start()
    service.wait(1)
    idle(notifier)
    assert service.attempts == 1


def test_a_worker_that_ended_by_a_defect_is_named(desk, monkeypatch, caplog):
    notifier = desk.open("json://127.0.0.1:1", start=False)
    (worker,) = notifier._workers

    def fail(*_: object) -> None:
        raise ValueError("defect")

    monkeypatch.setattr(worker._sender, "send", fail)
    notifier.start()
    desk.store(notifier, desk.face())
    worker._thread.join()
    expected = "service 1 (json) gets no message: defect; restart the gallery"
    assert notifier.problems() == [f"Notifications: {expected}; 1 message waiting."]
    assert expected in caplog.text
    desk.store(notifier, desk.face())
    assert notifier.problems() == [f"Notifications: {expected}; 1 message waiting."]
