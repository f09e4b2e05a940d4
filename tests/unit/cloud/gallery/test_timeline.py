"""The timeline: what it shows, in which order, by which filters."""

import os
import re
from datetime import timedelta

import pytest

from support.portraits import portrait
from unit.cloud.gallery.conftest import NOON, World, faces, wait_until


def keys(answer):
    return [face["key"] for face in answer.json()["faces"]]


def all_keys(client, address="/api/faces"):
    found = []
    while address:
        answer = client.get(address).json()
        found += [face["key"] for face in answer["faces"]]
        address = answer["older"]
    return found


def test_shows_exactly_the_stored_faces_newest_first(world: World):
    stored = faces(5)
    world.put(*stored)
    world.write("quarantine/jetson/not-an-image/0.bin", b"x")
    client = world.client(world.open())
    page = client.get("/")
    assert re.findall(r'data-key="([^"]+)"', page.text) == [face.key for face in reversed(stored)]
    assert "<strong>5</strong> faces" in page.text


def test_pages_contain_every_face_once_whatever_the_upload_times(world: World):
    """A backlog is stored in another order than it was captured."""
    stored = [*faces(40, every=timedelta(seconds=50)), *faces(40, outbox="5ca1ab1e", edge="pi", camera="yard")]
    world.put(*stored)
    for number, face in enumerate(stored):
        stamp = face.metadata.captured_at.timestamp() + (1 if number % 3 else 9_000)
        os.utime(world.bucket / face.key, (stamp, stamp))
    client = world.client(world.open(page=7))
    expected = sorted(stored, key=lambda face: face.metadata.captured_at, reverse=True)
    assert all_keys(client) == [face.key for face in expected]


def test_a_large_backlog_in_one_hour_is_in_order(world: World):
    """All were stored on the next day, so nothing but metadata and numbers orders them."""
    stored = faces(300, every=timedelta(seconds=11))
    world.put(*stored)
    client = world.client(world.open(page=20))
    assert all_keys(client) == [face.key for face in reversed(stored)]


def test_shots_of_a_visit_are_together_the_best_in_front(world: World):
    shots = [
        portrait(1, NOON, track=1, score=0.3),
        portrait(2, NOON + timedelta(seconds=2), track=1, score=0.8, why="better"),
        portrait(3, NOON + timedelta(seconds=3), track=2, score=0.5),
    ]
    world.put(*shots)
    client = world.client(world.open())
    assert re.findall(r'data-key="([^"]+)"', client.get("/").text) == [shots[2].key, shots[1].key]
    face = client.get(f"/api/faces/{shots[0].key}").json()
    assert face["shots_of_visit"] == [shots[0].key, shots[1].key]


def test_faces_of_early_versions_are_grouped_by_hour_and_track(world: World):
    old = [portrait(number, NOON + timedelta(minutes=number), track=1, visit=None) for number in (1, 2)]
    later = portrait(3, NOON + timedelta(hours=1), track=1, visit=None)
    world.put(*old, later)
    client = world.client(world.open())
    assert client.get(f"/api/faces/{old[0].key}").json()["shots_of_visit"] == [face.key for face in old]


def test_a_visit_of_one_edge_does_not_contain_faces_of_another(world: World):
    mine = portrait(1, NOON, visit="0badcafe-5eed0001-1")
    claimed = portrait(1, NOON, edge="other", outbox="deadbeef", visit="0badcafe-5eed0001-1")
    world.put(mine, claimed)
    client = world.client(world.open())
    client.get("/")
    assert client.get(f"/api/faces/{mine.key}").json()["shots_of_visit"] == [mine.key]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", {"door", "yard", "hall"}),
        ("edge=jetson", {"door", "yard"}),
        ("camera=yard", {"yard"}),
        ("edge=pi&camera=yard", set()),
        ("edge=unknown", set()),
        ("from=2026-11-22T13:00", {"yard", "hall"}),
        ("to=2026-11-22T13:00", {"door"}),
        ("from=2026-11-22T13:00&to=2026-11-22T14:00", {"yard"}),
        ("from=2026-11-22T13:59&to=2026-11-22T14:30", {"yard", "hall"}),
    ],
)
def test_filters(world: World, query, wanted):
    world.put(
        portrait(1, NOON, camera="door"),
        portrait(2, NOON + timedelta(hours=1), camera="yard"),
        portrait(1, NOON + timedelta(hours=2), edge="pi", camera="hall", outbox="5ca1ab1e"),
    )
    client = world.client(world.open())
    assert {key.split("/")[1] for key in keys(client.get(f"/api/faces?{query}"))} == wanted
    assert client.get(f"/?{query}").status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "edge=../../etc",
        "camera=%00",
        "from=yesterday",
        "from=0001-01-01",
        "to=9999-12-31T23:00",
        "from=2026-11-22T13:00&to=2026-11-22T13:00",
        "before=1-2-3",
        "before=x",
        "before=" + "9" * 60 + "-1",
    ],
)
def test_a_wrong_address_is_refused_with_its_parameter(world: World, query):
    client = world.client(world.open())
    answer = client.get(f"/?{query}")
    assert answer.status_code == 400
    assert query.split("=")[0] in answer.text or "to:" in answer.text
    assert client.get(f"/api/faces?{query}").status_code == 400


def test_hours_and_chart_count_all_faces_without_reading_them(world: World):
    world.put(*faces(20, every=timedelta(minutes=10)))
    gallery = world.open(page=1)
    client = world.client(gallery)
    hours = client.get("/api/hours").json()["hours"]
    assert list(hours.values()) == [5, 6, 6, 3]
    assert next(iter(hours)) == "2026-11-22T12:00:00+00:00"
    assert client.get("/").text.count('class="fill"') == 4


def test_times_are_those_of_the_time_zone(world: World):
    world.put(portrait(1, NOON))
    client = world.client(world.open(timezone="Asia/Kolkata"))
    assert "17:30:00" in client.get("/").text
    assert len(keys(client.get("/api/faces?from=2026-11-22T17:30&to=2026-11-22T18:30"))) == 1
    assert keys(client.get("/api/faces?from=2026-11-22T18:30")) == []


def test_a_new_face_appears_and_a_deleted_one_disappears(world: World):
    stored = faces(3)
    world.put(*stored[:2])
    client = world.client(world.open(relist_minutes=0.01))
    assert len(keys(client.get("/api/faces"))) == 2
    world.put(stored[2])
    wait_until(lambda: len(keys(client.get("/api/faces"))) == 3)
    (world.bucket / stored[0].key).unlink()
    wait_until(lambda: keys(client.get("/api/faces")) == [stored[2].key, stored[1].key])
    for face in stored:
        (world.bucket / face.key).unlink(missing_ok=True)
    wait_until(lambda: keys(client.get("/api/faces")) == [])
    assert client.get("/api/hours").json()["hours"] == {}


def test_a_face_that_is_gone_from_the_bucket_leaves_the_index_when_it_is_asked_for(world: World):
    stored = faces(2)
    world.put(*stored)
    client = world.client(world.open())
    (world.bucket / stored[0].key).unlink()
    assert client.get(f"/image/{stored[0].key}").status_code == 404
    assert keys(client.get("/api/faces")) == [stored[1].key]


def test_the_index_can_be_deleted_and_is_filled_again(world: World, tmp_path):
    world.put(*faces(3))
    client = world.client(world.open())
    assert len(keys(client.get("/api/faces"))) == 3
    for file in tmp_path.glob("index.db*"):
        file.unlink()
    assert len(keys(world.client(world.open()).get("/api/faces"))) == 3


def test_a_damaged_index_is_filled_again(world: World, tmp_path):
    world.put(*faces(3))
    (tmp_path / "index.db").write_bytes(b"SQLite format 3\x00" + b"\xff" * 8000)
    assert len(keys(world.client(world.open()).get("/api/faces"))) == 3


def test_another_sqlite_file_is_not_deleted(world: World, tmp_path):
    import sqlite3

    from face_app.common.errors import SettingsError

    connection = sqlite3.connect(tmp_path / "index.db")
    connection.execute("CREATE TABLE precious (row)")
    connection.close()
    with pytest.raises(SettingsError, match="another SQLite file"):
        world.open()
    assert sqlite3.connect(tmp_path / "index.db").execute("SELECT count(*) FROM precious").fetchone() == (0,)


@pytest.mark.parametrize(
    "broken",
    [b"", b"\xff\xd8\xff\xe0broken", b"x" * 5000, b"\x89PNG\r\n\x1a\n"],
    ids=["empty", "jpeg", "text", "png"],
)
def test_a_broken_object_is_shown_as_unreadable_and_harms_nothing(world: World, broken):
    good, bad = faces(2)
    world.put(good)
    world.write(bad.key, broken)
    client = world.client(world.open())
    found = client.get("/api/faces").json()["faces"]
    assert [(face["key"], face["readable"]) for face in found] == [(bad.key, False), (good.key, True)]
    assert client.get("/").status_code == 200
    assert "cannot be read" in client.get(f"/face/{bad.key}").text
    assert client.get(f"/image/{bad.key}").content == broken


def test_metadata_of_another_hour_does_not_move_a_face_out_of_its_hour(world: World):
    """The key is what the subscriber has checked."""
    face = portrait(1, NOON)
    lying = portrait(1, NOON + timedelta(days=900))
    world.write(face.key, lying.payload)
    client = world.client(world.open())
    assert keys(client.get("/api/faces?from=2026-11-22T12:00&to=2026-11-22T13:00")) == [face.key]


def test_numbers_that_json_has_not_are_unreadable(world: World):
    face = portrait(1, NOON)
    world.write(face.key, face.payload.replace(b'"score":0.93', b'"score":NaN '))
    client = world.client(world.open())
    assert [each["readable"] for each in client.get("/api/faces").json()["faces"]] == [False]


def test_a_sequence_beyond_64_bits_is_indexed(world: World):
    world.write(f"jetson/door/2026/11/22/12/face-0badcafe-{10**28}-0123456789ab.jpg", b"x")
    assert len(keys(world.client(world.open()).get("/api/faces"))) == 1
