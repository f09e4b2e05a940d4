"""New faces become messages: when, how many, and never twice."""

import sqlite3
import time
from datetime import datetime, timezone

import pytest

from face_app.cloud.gallery.objects import Listed
from face_app.cloud.notifications import deliveries, notification_metrics, planner
from face_app.common.errors import SettingsError
from support.faces import drawn_face
from support.waiting import until

from .conftest import ago


def total(result: str) -> float:
    return notification_metrics.deliveries.labels(result)._value.get()


def idle(notifier) -> None:
    """Wait until every face is judged and every message has left."""
    until(lambda: not notifier._news.unread(1) and notifier.waiting == 0)


def plan(notifier, at: datetime) -> None:
    notifier._planner.plan(int(at.timestamp() * 1000))


def waiting_titles(desk) -> list[str]:
    with sqlite3.connect(desk.file) as connection:
        return [title for (title,) in connection.execute("SELECT title FROM messages ORDER BY id")]


def utc(*values: int) -> datetime:
    return datetime(*values, tzinfo=timezone.utc)


@pytest.mark.parametrize("scheme", ["json", "form"])
def test_a_face_arrives_once_with_its_picture(desk, scheme):
    service = desk.receiver()
    url = service.url.replace("json", scheme, 1)
    notifier = desk.open(url, public_url="https://faces.example.com/", zone="Europe/Berlin")
    face = desk.face()
    desk.store(notifier, face)
    desk.store(notifier, face)
    (message,) = service.wait(1)
    idle(notifier)
    assert service.attempts == 1
    assert message.title == "Face at jetson/door"
    assert list(message.pictures.values()) == [face.payload]
    assert list(message.pictures) == [face.key.rpartition("/")[2]]
    assert f"{face.metadata.captured_at.year}" in message.body
    assert "the first good picture of the visit" in message.body
    assert message.body.endswith(f"https://faces.example.com/face/{face.key}")
    assert message.kind == "info"


def test_times_are_those_of_the_zone_and_a_link_needs_an_address(desk):
    notifier = desk.open("json://127.0.0.1:1", start=False, zone="America/New_York", max_age_minutes=10_000)
    desk.store(notifier, desk.face(utc(2026, 11, 22, 2, 30, 1)))
    plan(notifier, utc(2026, 11, 22, 2, 31))
    message = notifier._deliveries.take(notifier._workers[0].service.id).message
    assert message.body.splitlines()[0] == "Saturday, 21 November 2026, 21:30:01 EST"
    assert "http" not in message.body


def test_the_cool_down_ends_with_one_summary(desk):
    notifier = desk.open("json://127.0.0.1:1", start=False, cool_down=60)
    start = utc(2026, 11, 22, 12, 0)
    first, *more = (desk.face(start, score=0.2 + number / 10) for number in range(4))
    other = desk.face(start, camera="yard")
    desk.store(notifier, first, *more, other)
    plan(notifier, start)
    assert waiting_titles(desk) == ["Face at jetson/door", "Face at jetson/yard"]
    plan(notifier, start.replace(second=59))
    assert len(waiting_titles(desk)) == 2
    plan(notifier, utc(2026, 11, 22, 12, 1))
    plan(notifier, utc(2026, 11, 22, 12, 1, 1))
    assert waiting_titles(desk)[2:] == ["3 more faces at jetson/door"]
    # The best picture, and a cool-down of its own.
    assert newest(desk)["picture"] == more[-1].key
    late = desk.face(utc(2026, 11, 22, 12, 1, 30))
    desk.store(notifier, late)
    plan(notifier, utc(2026, 11, 22, 12, 1, 31))
    assert len(waiting_titles(desk)) == 3
    plan(notifier, utc(2026, 11, 22, 12, 2))
    assert waiting_titles(desk)[3:] == ["1 more face at jetson/door"]


def newest(desk) -> sqlite3.Row:
    with sqlite3.connect(desk.file) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute("SELECT * FROM messages ORDER BY id DESC LIMIT 1").fetchone()


def test_a_visit_makes_one_message(desk):
    notifier = desk.open("json://127.0.0.1:1", start=False, cool_down=0)
    start = utc(2026, 11, 22, 12, 0)
    for second in range(3):
        desk.store(notifier, desk.face(start.replace(second=second), track=7))
        plan(notifier, start.replace(second=second))
    desk.store(notifier, desk.face(start.replace(second=5), track=8))
    plan(notifier, start.replace(second=5))
    assert waiting_titles(desk) == ["Face at jetson/door"] * 2


def test_cameras_are_turned_on_and_off_by_patterns(desk):
    notifier = desk.open("json://127.0.0.1:1", start=False, cameras=["jetson/*", "*/gate"], muted=["*/y?rd"])
    start = utc(2026, 11, 22, 12, 0)
    places = [("jetson", "door"), ("jetson", "yard"), ("pi", "door"), ("pi", "gate")]
    desk.store(notifier, *(desk.face(start, edge=edge, camera=camera) for edge, camera in places))
    plan(notifier, start)
    assert sorted(waiting_titles(desk)) == ["Face at jetson/door", "Face at pi/gate"]


def test_a_test_card_is_no_news(desk):
    notifier = desk.open("json://127.0.0.1:1", start=False)
    desk.store(notifier, desk.face(utc(2026, 11, 22, 12, 0), why="verify"))
    plan(notifier, utc(2026, 11, 22, 12, 0))
    assert waiting_titles(desk) == []


@pytest.mark.parametrize(
    ("span", "zone", "at", "quiet"),
    [
        ("22:00-07:00", "UTC", utc(2026, 11, 22, 21, 59), False),
        ("22:00-07:00", "UTC", utc(2026, 11, 22, 22, 0), True),
        ("22:00-07:00", "UTC", utc(2026, 11, 23, 0, 0), True),
        ("22:00-07:00", "UTC", utc(2026, 11, 23, 7, 0), False),
        ("12:00-13:00", "UTC", utc(2026, 11, 23, 12, 30), True),
        ("12:00-13:00", "UTC", utc(2026, 11, 23, 13, 30), False),
        # Berlin has UTC+1 in winter and UTC+2 in summer. The clock goes back on 25 October at 1:00 UTC.
        ("22:00-07:00", "Europe/Berlin", utc(2026, 7, 1, 5, 30), False),
        ("22:00-07:00", "Europe/Berlin", utc(2026, 12, 1, 5, 30), True),
        ("02:00-03:00", "Europe/Berlin", utc(2026, 10, 25, 0, 30), True),
        ("02:00-03:00", "Europe/Berlin", utc(2026, 10, 25, 1, 30), True),
        ("02:00-03:00", "Europe/Berlin", utc(2026, 10, 25, 2, 0), False),
        # On 29 March the hour from 2:00 to 3:00 does not exist.
        ("02:00-03:00", "Europe/Berlin", utc(2026, 3, 29, 0, 59), False),
        ("02:00-03:00", "Europe/Berlin", utc(2026, 3, 29, 1, 0), False),
    ],
)
def test_quiet_hours_follow_the_clock_on_the_wall(desk, span, zone, at, quiet):
    notifier = desk.open("json://127.0.0.1:1", start=False, quiet_hours=span, zone=zone)
    desk.store(notifier, desk.face(at))
    plan(notifier, at)
    assert waiting_titles(desk) == ([] if quiet else ["Face at jetson/door"])


def test_one_summary_follows_the_quiet_hours(desk):
    notifier = desk.open("json://127.0.0.1:1", start=False, quiet_hours="22:00-07:00", cool_down=0)
    desk.store(notifier, desk.face(utc(2026, 11, 22, 23, 0)), desk.face(utc(2026, 11, 22, 23, 5), camera="yard"))
    plan(notifier, utc(2026, 11, 22, 23, 6))
    desk.store(notifier, desk.face(utc(2026, 11, 23, 6, 59)))
    plan(notifier, utc(2026, 11, 23, 6, 59))
    assert waiting_titles(desk) == []
    plan(notifier, utc(2026, 11, 23, 7, 0))
    plan(notifier, utc(2026, 11, 23, 7, 1))
    assert waiting_titles(desk) == ["3 faces in the quiet hours"]
    assert newest(desk)["body"].splitlines() == [
        "Sunday 23:00 to Monday 06:59",
        "jetson/door: 2",
        "jetson/yard: 1",
    ]


def test_an_edge_that_returns_after_a_week_sends_one_summary(desk, monkeypatch):
    monkeypatch.setattr(planner, "BATCH", 50)
    notifier = desk.open("json://127.0.0.1:1", start=False)
    now = datetime.now(timezone.utc)
    old = [drawn_face(number, captured_at=ago(days=7 - number / 100)) for number in range(412)]
    desk.store(notifier, *old)  # not in the bucket: their metadata must not be needed
    live = desk.face(now)
    desk.store(notifier, live)
    plan(notifier, now)
    assert waiting_titles(desk) == ["Face at jetson/door"]
    plan(notifier, datetime.fromtimestamp(time.time() + 61, timezone.utc))
    assert waiting_titles(desk)[1:] == ["412 faces arrived late from jetson"]
    plan(notifier, datetime.fromtimestamp(time.time() + 200, timezone.utc))
    assert len(waiting_titles(desk)) == 2


def test_a_burst_of_a_thousand_makes_two_messages(desk):
    service = desk.receiver()
    notifier = desk.open(service.url, cool_down=5)
    one = desk.face()
    faces = [one, *(drawn_face(number, captured_at=one.metadata.captured_at) for number in range(2, 1001))]
    for face in faces[1:]:
        path = desk.bucket / face.key
        path.write_bytes(face.payload)
    desk.store(notifier, *faces)
    messages = service.wait(2)
    idle(notifier)
    assert [each.title for each in messages] == ["Face at jetson/door", "999 more faces at jetson/door"]
    assert len(messages[1].pictures) == 1


def test_a_restart_sends_nothing_twice(desk):
    service = desk.receiver()
    notifier = desk.open(service.url, cool_down=0)
    faces = [desk.face() for _ in range(5)]
    desk.store(notifier, *faces)
    service.wait(5)
    idle(notifier)
    again = desk.open(service.url, cool_down=0)
    again.on_listed([Listed(face.key, int(time.time() * 1000)) for face in faces])
    desk.store(again, *faces)
    marker = desk.face(camera="marker")
    desk.store(again, marker)
    service.wait(6)
    idle(again)
    assert len(service.received) == 6


def test_faces_that_were_stored_while_the_program_was_down_are_announced(desk):
    service = desk.receiver()
    notifier = desk.open(service.url)
    notifier.on_listing_complete(ago(seconds=5))
    desk.close()
    face = desk.face()
    again = desk.open(service.url)
    again.on_listed([Listed(face.key, int(time.time() * 1000)), Listed("marks/x", int(time.time() * 1000))])
    assert service.wait(1)[0].title == "Face at jetson/door"


def test_without_its_file_only_faces_after_the_start_are_announced(desk):
    old = desk.face()
    notifier = desk.open("json://127.0.0.1:1", start=False)
    notifier.on_listed([Listed(old.key, int(time.time() * 1000) - 5000)])
    assert notifier._news.unread(10) == []


@pytest.mark.parametrize("content", [b"no database" * 100, b""])
def test_a_damaged_file_is_replaced(desk, caplog, content):
    desk.file.write_bytes(content)
    notifier = desk.open("json://127.0.0.1:1", start=False)
    assert ("messages that waited, alarms included, are lost" in caplog.text) == bool(content)
    desk.store(notifier, desk.face())
    plan(notifier, datetime.now(timezone.utc))
    assert waiting_titles(desk) == ["Face at jetson/door"]


def test_another_file_is_not_deleted(desk):
    with sqlite3.connect(desk.file) as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(SettingsError) as caught:
        desk.open("json://127.0.0.1:1", start=False)
    cause = f"notifications' file {desk.file} (beside index) is another SQLite file"
    assert str(caught.value) == f"{cause}; move it away, or change index"
    assert desk.file.exists()


def test_a_file_that_cannot_be_written_is_named(desk):
    desk.file.mkdir()
    with pytest.raises(SettingsError) as caught:
        desk.open("json://127.0.0.1:1", start=False)
    cause = f"notifications' file {desk.file} cannot be written: unable to open database file"
    assert str(caught.value) == f"{cause}; set index to a file in a folder that can be written"


def test_a_message_that_was_being_sent_is_not_sent_again(desk):
    """At most once: a killed program cannot know whether its message arrived."""
    service = desk.receiver()
    notifier = desk.open(service.url, start=False, cool_down=0)
    desk.store(notifier, desk.face(), desk.face())
    plan(notifier, datetime.now(timezone.utc))
    assert notifier._deliveries.take(notifier._workers[0].service.id)
    before = total("interrupted")
    notifier = desk.open(service.url)
    service.wait(1)
    idle(notifier)
    assert service.attempts == 1
    assert total("interrupted") == before + 1


def test_a_deleted_face_is_not_announced(desk):
    service = desk.receiver()
    notifier = desk.open(service.url, start=False, cool_down=0)
    erased, left = desk.face(), desk.face()
    desk.store(notifier, erased, left)
    plan(notifier, datetime.now(timezone.utc))
    (desk.bucket / erased.key).unlink()
    notifier = desk.open(service.url)
    (message,) = service.wait(1)
    idle(notifier)
    assert list(message.pictures.values()) == [left.payload]
    assert len(service.received) == 1


def test_waiting_messages_are_bounded(desk, monkeypatch):
    monkeypatch.setattr(deliveries, "MOST_WAITING", 10)
    notifier = desk.open("json://127.0.0.1:1", start=False, cool_down=0)
    before = total("dropped")
    desk.store(notifier, *(desk.face() for _ in range(15)))
    plan(notifier, datetime.now(timezone.utc))
    assert notifier.waiting == 10
    assert total("dropped") == before + 5
