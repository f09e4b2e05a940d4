"""Messages to services that are down, slow or wrong."""

import errno
import logging
import socket
import sqlite3
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest

from face_app.cloud.gallery.objects import Listed
from face_app.cloud.notifications import delivery_worker, notification_metrics, service_log
from face_app.cloud.notifications.deliveries import Message
from face_app.cloud.notifications.notification_file import now_ms
from face_app.cloud.notifications.send_message import Attachment, Sender
from face_app.cloud.notifications.services import read_services
from face_app.common.errors import SettingsError, StoreError
from support.ports import free_port
from support.receiver import receiver
from support.waiting import until

from .test_notifier import idle, total

SECRET = "Tok3nOfTheBot4711"


def test_a_service_that_was_down_gets_each_message_once(desk):
    port = free_port()
    notifier = desk.open(f"json://127.0.0.1:{port}/{SECRET}", cool_down=0)
    faces = [desk.face() for _ in range(3)]
    desk.store(notifier, *faces)
    until(notifier.problems)
    (notice,) = notifier.problems()
    assert notice == "Notifications: service 1 (json) accepts none: the connection is refused; 3 messages waiting."
    with receiver(port) as service:
        service.wait(3)
        idle(notifier)
        until(lambda: not notifier.problems())
        pictures = [picture for message in service.received for picture in message.pictures.values()]
        assert sorted(pictures) == sorted(face.payload for face in faces)
        assert service.attempts == 3


def test_messages_wait_over_a_restart(desk):
    port = free_port()
    url = f"json://127.0.0.1:{port}"
    notifier = desk.open(url)
    desk.store(notifier, desk.face())
    until(notifier.problems)
    desk.close()
    with receiver(port) as service:
        idle(desk.open(url))
        assert service.titles == ["Face at jetson/door"]


def test_a_service_that_hangs_delays_no_other(desk):
    hanging, healthy = desk.receiver(), desk.receiver()
    hanging.silent.set()
    notifier = desk.open(hanging.url + "?rto=60", healthy.url, cool_down=0)
    desk.store(notifier, *(desk.face() for _ in range(5)))
    assert len(healthy.wait(5)) == 5
    until(lambda: hanging.attempts)  # its worker may be slower than the five messages
    assert (hanging.attempts, len(hanging.received)) == (1, 0)


def test_what_a_service_does_not_answer_is_not_repeated(desk):
    service = desk.receiver()
    service.silent.set()
    before = total("unanswered")
    notifier = desk.open(service.url + "?rto=0.5")
    desk.store(notifier, desk.face())
    until(lambda: total("unanswered") > before)
    idle(notifier)
    until(lambda: service.attempts)  # it may read the request after its time
    assert service.attempts == 1
    assert (
        "it did not answer in time, so the message may have arrived; 0 messages waiting, 1 given up"
        in (notifier.problems()[0])
    )


def test_one_message_takes_at_most_its_time(desk, tmp_path):
    """A peer that sends one byte after another defeats the limits for each read."""
    service = desk.receiver()
    service.silent.set()
    (tmp_path / "one").write_text(service.url + "?rto=600")
    sender = Sender(read_services(tmp_path / "one")[0], seconds=0.2)
    first = sender.send(Message("a", "b"), None)
    assert first
    assert first.may_have_arrived
    second = sender.send(Message("c", "d"), None)
    assert second == service_log.Failure("it has not finished an earlier message")
    until(lambda: service.attempts)
    assert service.attempts == 1
    service.silent.clear()
    service.released.set()
    sender._thread.join()
    assert sender.send(Message("e", "f"), None) is None


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (403, "it answered 403 (Forbidden); check the URL"),
        (503, "it answered 503 (Service Unavailable)"),
        (413, "it answered 413 (Request Entity Too Large); the picture is too large for it"),
    ],
)
def test_a_refusal_is_given_up_after_its_time(desk, caplog, monkeypatch, status, cause):
    service = desk.receiver()
    service.status = status
    before = total("given_up")
    notifier = desk.open(service.url, give_up_minutes=1)
    monkeypatch.setattr(delivery_worker, "now_ms", lambda: now_ms() + (60_000 if service.attempts >= 2 else 0))
    with caplog.at_level(logging.WARNING, logger=delivery_worker.log.name):
        desk.store(notifier, desk.face())
        until(lambda: total("given_up") > before)
        idle(notifier)
    assert service.attempts >= 2
    assert f"'Face at jetson/door' is given up: service 1 (json) accepts none: {cause}" in caplog.messages[-1]


def test_the_bucket_may_be_away(desk):
    service = desk.receiver()
    notifier = desk.open(service.url, start=False)
    face = desk.face()
    away = desk.bucket.with_name("away")
    desk.bucket.rename(away)
    desk.bucket.write_text("no folder")
    notifier.start()
    desk.store(notifier, face)
    until(lambda: notifier._objects.problem)
    assert service.attempts == 0
    desk.bucket.unlink()
    away.rename(desk.bucket)
    until(notifier._objects.check)
    assert list(service.wait(1)[0].pictures.values()) == [face.payload]


def test_a_service_is_not_blamed_for_the_bucket(desk, monkeypatch, caplog):
    service = desk.receiver()
    notifier = desk.open(service.url, start=False)
    (worker,) = notifier._workers

    def fail(_key):
        raise StoreError("no answer")

    monkeypatch.setattr(worker, "_fetch", fail)
    notifier.start()
    face = desk.face()
    desk.store(notifier, face)
    until(notifier.problems)
    blamed = "the bucket does not answer, so service 1 (json) gets no picture"
    assert notifier.problems() == [f"Notifications: {blamed}; 1 message waiting."]
    assert f"{blamed}; trying again" in caplog.text
    assert "accepts none" not in caplog.text
    assert service.attempts == 0
    monkeypatch.setattr(worker, "_fetch", lambda _key: face.payload)
    service.wait(1)
    until(lambda: not notifier.problems())


def test_a_full_disk_stops_messages_and_nothing_else(desk, monkeypatch):
    notifier = desk.open("json://127.0.0.1:1", start=False)

    def fail(_faces):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(notifier._news, "offer", fail)
    desk.store(notifier, desk.face())
    assert notifier.problems() == [
        "Notifications: no face is announced: database or disk is full; a later listing offers it again."
    ]


def test_a_disk_that_was_full_costs_no_announcement(desk, monkeypatch):
    notifier = desk.open("json://127.0.0.1:1", start=False)
    face, began_at = desk.face(), datetime.now(timezone.utc)
    page = [Listed(face.key, int(time.time() * 1000))]

    def fail(_faces):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as full:
        full.setattr(notifier._news, "offer", fail)
        notifier.on_listed(page)
    notifier.on_listing_complete(began_at + timedelta(hours=1))
    notifier.on_listed(page)
    assert [key.key for key in notifier._news.unread(10)] == [face.key]
    assert notifier.problems() == []
    notifier.on_listing_complete(began_at + timedelta(hours=1))
    assert notifier._news.since_ms > page[0].stored_ms, "the next complete listing counts again"


def test_a_thread_that_fails_is_named_whatever_is_written_later(desk, monkeypatch):
    notifier = desk.open("json://127.0.0.1:1", start=False)

    def fail(_now):
        raise sqlite3.DatabaseError("malformed")

    monkeypatch.setattr(notifier._planner, "plan", fail)
    notifier.start()
    until(notifier.problems)
    desk.store(notifier, desk.face())
    assert notifier.problems() == ["Notifications: no face is announced: malformed; restart the gallery."]


def test_a_broken_file_breaks_neither_a_page_nor_the_metrics(desk):
    notifier = desk.open("json://127.0.0.1:1", start=False)
    desk.store(notifier, desk.face())
    notifier._planner.plan(int(time.time() * 1000))
    assert notifier.waiting == 1
    notifier._file.close()
    notifier.start()
    until(lambda: len(notifier.problems()) == 2)
    assert "the file of notifications cannot be used" in notifier.problems()[1]
    assert notifier.waiting == 1
    assert next(iter(notification_metrics.waiting.collect())).samples[0].value == 1


@pytest.mark.parametrize("step", ["os.memfd_create", "apprise.attachment.file.AttachFile"])
def test_a_shortage_of_this_machine_is_tried_again(tmp_path, monkeypatch, step):
    def fail(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(step, fail)
    (tmp_path / "one").write_text("json://127.0.0.1:1/")
    sender = Sender(read_services(tmp_path / "one")[0])
    failure = sender.send(Message("a", "b"), Attachment("a.jpg", b"x"))
    assert failure == service_log.Failure("sending failed: OSError")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no URL; write one per line"),
        ("# only a comment\n", "no URL; write one per line"),
        (f"foo://{SECRET}", "line 1 cannot be used: it does not begin with a scheme of Apprise"),
        (f"\n\ntgram://{SECRET}", "line 3 cannot be used: its parts are not those of tgram://"),
        (f"https://{SECRET}@", "line 1 cannot be used"),
        (SECRET, "line 1 cannot be used: it does not begin with a scheme of Apprise"),
        (f"json://a/{SECRET}\njson://a/{SECRET}", "a URL is repeated"),
        ("\n".join(f"json://a/{SECRET}{number}" for number in range(21)), "21 URLs; write at most 20"),
    ],
)
def test_a_wrong_file_is_one_line_without_secrets(tmp_path, capfd, text, expected):
    file = tmp_path / "urls"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_services(file)
    message = str(caught.value)
    assert message.startswith(f"notifications.urls_file {file}: ")
    assert expected in message
    assert SECRET not in message
    assert "\n" not in message
    assert SECRET not in "".join(capfd.readouterr())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match="No such file"):
        read_services(tmp_path / "none")


@pytest.mark.parametrize(
    "place", ["json://user:{}@127.0.0.1:{}/", "json://127.0.0.1:{1}/{0}/", "json://127.0.0.1:{1}/?-t={0}"]
)
def test_no_log_has_a_secret(desk, caplog, place):
    service = desk.receiver()
    service.status = 500
    notifier = desk.open(place.format(SECRET, service.port), give_up_minutes=0.001)
    before = total("given_up")
    with caplog.at_level(logging.DEBUG):
        desk.store(notifier, desk.face())
        until(lambda: total("given_up") > before)
    own = [record.getMessage() for record in caplog.records if not record.name.startswith("apprise")]
    assert any("500" in line for line in own)
    assert SECRET not in "\n".join(own)
    assert not logging.getLogger("apprise").propagate


def test_an_unknown_cause_is_masked():
    secrets = service_log.secrets_of(f"tgram://{SECRET}/pa%20ss%20word?x=1")
    service_log.capture()
    service_log.begin()
    logging.getLogger("apprise").warning("Not sent to %s:\n%s.", SECRET, "pa ss word")
    assert service_log.failure(secrets) == service_log.Failure("Not sent to ***: ***.")


def test_a_name_that_does_not_exist(tmp_path):
    (tmp_path / "one").write_text("json://no-such-host.invalid/")
    failure = Sender(read_services(tmp_path / "one")[0]).send(Message("a", "b"), None)
    assert failure
    assert not failure.may_have_arrived


def test_a_connection_that_ends_without_an_answer_is_not_repeated(desk, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        (tmp_path / "one").write_text(f"json://127.0.0.1:{server.getsockname()[1]}/")
        sender = Sender(read_services(tmp_path / "one")[0])
        answers = []
        thread = threading.Thread(target=lambda: answers.append(sender.send(Message("a", "b"), None)))
        thread.start()
        peer, _ = server.accept()
        peer.recv(65536)
        peer.close()
        thread.join()
    assert answers[0].may_have_arrived
