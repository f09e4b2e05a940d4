"""Pages and JSON beside the timeline; wrong addresses; a bucket and a broker that are away."""

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from face_app.cloud.gallery.details import detail_of
from face_app.cloud.gallery.face_key import parse_key
from face_app.common.metadata import write_metadata
from fuzz.seeds import FACE, with_comment
from support.portraits import portrait
from unit.cloud.gallery.conftest import NOON, World, faces, wait_until


@pytest.mark.parametrize("page", ["face", "image", "api/faces"])
@pytest.mark.parametrize(
    "key",
    [
        "jetson/door/2026/11/22/12/face-0badcafe-000000009-0123456789ab.jpg",
        "quarantine/jetson/not-an-image/0.bin",
        "..%2f..%2f..%2fetc%2fpasswd",
        "../../secret.txt",
        "%2e%2e/secret.txt",
        "/etc/passwd",
        "jetson/door/2026/13/41/12/face-0badcafe-000000001-0123456789ab.jpg",
        "jetson/door/2026/11/22/12/face-0badcafe-000000001-0123456789ab.jpg%00",
        "jetson/door/2026/11/22/12/face-0badcafe-000000001-0123456789ab.svg",
        "jetson/../pi/2026/11/22/12/face-0badcafe-000000001-0123456789ab.jpg",
        "\u0130/door/2026/11/22/12/face-0badcafe-000000001-0123456789ab.jpg",
        "x" * 5000,
        "",
    ],
)
def test_an_unknown_key_is_not_found(world: World, page, key):
    world.write("quarantine/jetson/not-an-image/0.bin", b"secret")
    (world.bucket.parent / "secret.txt").write_text("secret")
    client = world.client(world.open())
    answer = client.get(f"/{page}/{key}")
    assert answer.status_code in {200, 404} if (page, key) == ("api/faces", "") else answer.status_code == 404
    assert "secret" not in answer.text


def test_a_face_is_shown_with_its_metadata_in_words(world: World):
    shots = [portrait(1, NOON, track=4), portrait(2, NOON + timedelta(seconds=3), track=4, why="final", score=0.71)]
    world.put(*shots)
    client = world.client(world.open())
    text = client.get(f"/face/{shots[1].key}").text
    for expected in (
        "12:00:03",
        "Sunday, 22 November 2026",
        "the best picture of the visit, chosen at its end",
        "14 detections of the visit",
        "164 by 198 of 1280 by 720 pixels",
        "yunet, 93% sure",
        "set by a time server",
        "Eyes open",
        "0.71",
        shots[0].key,
        f'href="/image/{shots[1].key}?download=1"',
    ):
        assert expected in text, expected


def test_names_and_texts_from_an_edge_are_escaped(world: World):
    face = portrait(1, NOON)
    hostile = face.payload.replace(b'"detector":"yunet"', b'"detector":"<b>ab"')
    world.write(face.key, hostile)
    gallery = world.open()
    state = {"state": "online", "problem": "<script>alert(1)</script>", "version": "<i>", "waiting": "<u>"}
    gallery.states.received("status/jetson/door", json.dumps(state).encode(), retained=False)
    client = world.client(gallery)
    assert "&lt;b&gt;ab" in client.get(f"/face/{face.key}").text
    text = client.get("/edges").text
    assert "&lt;script&gt;" in text
    assert not any(tag in text for tag in ("<script>a", "<i>", "<u>"))


def test_a_picture_has_its_bytes_its_type_and_an_etag(world: World):
    (face,) = faces(1)
    world.put(face)
    client = world.client(world.open())
    answer = client.get(f"/image/{face.key}")
    assert answer.content == face.payload
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert client.get(f"/image/{face.key}", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    download = client.get(f"/image/{face.key}?download=1")
    assert download.headers["content-disposition"] == f'attachment; filename="{face.key.split("/")[-1]}"'


def test_a_bucket_that_is_away_is_named_and_comes_back_by_itself(world: World):
    stored = faces(3)
    world.put(*stored)
    gallery = world.open()
    client = world.client(gallery)
    assert client.get("/").status_code == 200
    for face in stored:
        gallery.objects.forget(face.key)
    away = world.bucket.with_name("away")
    world.bucket.rename(away)
    world.bucket.write_text("not a folder")  # ENOTDIR, as a mount that hangs
    assert client.get(f"/image/{stored[0].key}").status_code == 503
    page = client.get("/")
    assert page.status_code == 200
    assert "The bucket does not answer" in page.text
    assert stored[0].key in page.text
    assert not gallery.health().ready
    assert gallery.health().live
    world.bucket.unlink()
    away.rename(world.bucket)
    wait_until(lambda: "The bucket does not answer" not in client.get("/").text)
    assert client.get(f"/image/{stored[0].key}").content == stored[0].payload


def test_a_broker_that_is_away_is_named(world: World):
    gallery = world.open()
    assert "No live news" in world.client(gallery).get("/").text
    assert "broker" in gallery.health().reason


def test_a_shared_link_works_before_the_listing_came_so_far(world: World):
    (face,) = faces(1)
    world.put(face)
    client = world.client(world.open(list_now=False))
    assert client.get(f"/face/{face.key}").status_code == 200


def test_edges_show_what_is_ready_silent_offline_and_has_a_wrong_clock(world: World):
    gallery = world.open()
    now = datetime.now(timezone.utc)

    def publish(camera: str, *, retained: bool = True, at: datetime | None = now, **values: object) -> None:
        document = {"state": "online", "problem": "", "at": at and at.isoformat(), **values}
        gallery.states.received(f"status/jetson/{camera}", json.dumps(document).encode(), retained=retained)

    publish("ready")
    publish("problem", problem="no frame for 62 s")
    publish("offline", state="offline", at=None)
    publish("silent", at=now - timedelta(minutes=4))
    publish("fast", retained=False, at=now + timedelta(hours=5))
    publish("slow", retained=False, at=now - timedelta(hours=5))
    client = world.client(gallery)
    conditions = {each["camera"]: each["condition"] for each in client.get("/api/edges").json()["cameras"]}
    assert conditions == {
        "ready": "ready",
        "problem": "problem",
        "offline": "offline",
        "silent": "silent",
        "fast": "ready",
        "slow": "ready",
    }
    text = client.get("/edges").text
    assert "5 h ahead" in text
    assert "5 h behind" in text
    publish("ready", at=now - timedelta(hours=1), version="old")
    assert client.get("/api/edges").json()["cameras"][3]["state"].get("version") is None


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (200.4, "<dd>200 days left</dd>"),
        (20.9, '<span class="badge problem">21 days left</span>'),
        (1.2, '<span class="badge problem">1 day left</span>'),
        (-3, '<span class="badge offline">expired</span>'),
        ("soon", "<dd>unknown</dd>"),
    ],
)
def test_a_certificate_that_ends_soon_is_marked(world: World, days, expected):
    gallery = world.open()
    state = {"state": "online", "problem": "", "certificate_days": days}
    gallery.states.received("status/jetson/door", json.dumps(state).encode(), retained=False)
    text = world.client(gallery).get("/edges").text
    assert expected in text.split("Certificate</dt>")[1]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"{" * 10_000,
        b"\xff",
        b'{"a":' * 3000,
        b"x" * 20_000,
        b'{"problem": "\\ud800"}',
        b'{"waiting": NaN}',
        b'{"waiting": -Infinity}',
    ],
)
def test_a_state_that_is_none_is_ignored(world: World, payload):
    gallery = world.open()
    assert not gallery.states.received("status/jetson/door", payload, retained=False)
    assert world.client(gallery).get("/edges").status_code == 200


@pytest.mark.parametrize(
    "values",
    [
        {"last_face": 5, "waiting": {"a": 1}, "oldest_waiting": "x", "outbox": []},
        {"at": "9999-12-31T23:59:59+00:00", "last_face": "0001-01-01T00:00:00+00:00"},
        {"outbox": {"id": "0badcafe", "sequence": 10**30}, "outbox_fullness": 1e308, "problem": ["x"]},
        {"outbox": {"id": 5, "sequence": "7"}, "hop_cloud": "x", "state": None, "version": None},
        {"waiting": 1, "oldest_waiting": 10**400, "outbox_fullness": -(10**400), "certificate_days": 10**400},
        {"certificate_days": True, "outbox_fullness": [], "problem": {"a": 1}, "waiting": -1},
        {"last_face": "0001-01-01T00:00:00+23:59", "at": "9999-12-31T23:59:59-23:59"},
    ],
)
def test_a_strange_state_breaks_no_page(world: World, values):
    gallery = world.open(timezone="Pacific/Kiritimati")
    for retained in (True, False):
        gallery.states.received("status/jetson/door", json.dumps(values).encode(), retained=retained)
        client = world.client(gallery)
        for path in ("/edges", "/ledgers", "/api/edges", "/api/ledgers"):
            assert client.get(path).status_code == 200, path


def test_ledgers_show_what_the_bucket_proves(world: World):
    stored = [face for face in faces(9) if face.id.sequence not in {3, 4, 7}]
    world.put(*stored)
    world.write(f"erased/{faces(9)[6].key}", b"")
    world.write("quarantine/jetson/not-an-image/0.bin", b"x")
    world.write("quarantine/too-large/1.bin", b"x")
    mark = {"version": 1, "at": "2026-11-22T12:00:00+00:00", "openings": {"a" * 16: [1, 5], "b" * 16: [6, 12]}}
    world.write("marks/jetson/0badcafe/subscriber-1.json", json.dumps(mark).encode())
    world.write("marks/jetson/0badcafe/subscriber-2.json", b"broken")
    world.write("marks/jetson/5ca1ab1e/subscriber-1.json", b'{"openings": 5}')
    world.write("holiday.txt", b"x")
    gallery = world.open()
    state = {"outbox": {"id": "0badcafe", "sequence": 14}}
    gallery.states.received("status/jetson/door", json.dumps(state).encode(), retained=False)
    client = world.client(gallery)
    document = client.get("/api/ledgers").json()
    assert document["outboxes"][0] == {
        "edge": "jetson",
        "outbox": "0badcafe",
        "stored": 6,
        "last": 9,
        "gaps": [[3, 4], [7, 7]],
        "missing": 3,
        "erased": 1,
        "mark": 12,
        "mark_at": "2026-11-22T12:00:00+00:00",
        "published": 14,
    }
    assert document["outboxes"][1]["mark"] is None
    assert document["quarantine"] == [
        {"edge": "-", "reason": "too-large", "messages": 1},
        {"edge": "jetson", "reason": "not-an-image", "messages": 1},
    ]
    assert document["foreign"] == 1
    text = client.get("/ledgers").text
    for expected in ("3-4, 7", "5 above", "not-an-image"):
        assert expected in text, expected


def test_what_needs_a_ledger_and_has_none_is_unknown(world: World):
    world.put(*faces(1))
    text = world.client(world.open()).get("/ledgers").text
    assert "of jetson waits, was refused or is lost is unknown: no audit has left a report" in text


def test_pages_request_nothing_from_elsewhere(world: World):
    (face,) = faces(1)
    world.put(face)
    client = world.client(world.open())
    for path in ("/static/gallery.css", "/static/gallery.js"):
        assert not re.search(r"https?:|url\(", client.get(path).text), path
    for path in ("/", f"/face/{face.key}", "/edges", "/ledgers"):
        text = client.get(path).text
        assert not re.search(r"(?:src|href|action)=\"(?!/|#)|url\(|style=\"|<script>| on\w+=\"", text), path


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["\ud800", 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = [
    *("state", "problem", "version", "at", "since", "frames", "faces", "last_face", "outbox", "waiting"),
    *("oldest_waiting", "outbox_fullness", "certificate_days", "hop_forwarder", "hop_cloud", "id", "sequence"),
]


def test_no_state_that_an_edge_can_publish_breaks_a_page(world: World):
    gallery = world.open()
    client = world.client(gallery)

    @given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=8), st.booleans())
    def check(state: dict[str, object], retained: bool) -> None:
        gallery.states.received("status/jetson/door", json.dumps(state).encode(), retained=retained)
        for path in ("/edges", "/ledgers", "/api/edges", "/api/ledgers"):
            assert client.get(path).status_code == 200, path

    check()


@pytest.mark.parametrize("text", ["\ud800", "\x00", "\u202e", "x" * 5_000, "</script>"])
def test_a_face_with_strange_texts_breaks_no_page(world: World, text):
    face = portrait(1, NOON)
    strange = replace(face.metadata, detector=text, version=text)
    data = write_metadata(face.payload, face.id, strange)
    world.write(face.key, data)
    client = world.client(world.open())
    for path in ("/", f"/face/{face.key}", "/api/faces", f"/api/faces/{face.key}", f"/image/{face.key}"):
        assert client.get(path).status_code == 200, path


NUMBER = st.integers() | st.floats() | st.booleans() | st.sampled_from([10**400, "7"])
METADATA = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("track", "score", "shot_score", "chosen_from"), NUMBER),
        **dict.fromkeys(("why", "clock_synchronised", "detector", "version"), JSON),
        "visit": JSON | st.sampled_from(["0badcafe-5eed0001-7", "0badcafe-%2F-<b>"]),
        "frame_size": st.lists(NUMBER, min_size=2, max_size=2),
        "box": st.lists(NUMBER, min_size=4, max_size=4),
        "landmarks": st.lists(st.lists(NUMBER, min_size=2, max_size=2), max_size=2),
        "shot_terms": st.dictionaries(st.text(max_size=5) | st.sampled_from(["size", "eyes"]), NUMBER, max_size=3),
    },
)


def test_no_metadata_that_an_edge_can_write_breaks_a_page(world: World):
    world.put(FACE)
    gallery = world.open()
    client = world.client(gallery)
    key = parse_key(FACE.key)
    assert key
    document = FACE.metadata.document(FACE.id)

    @given(METADATA)
    def check(changes: dict[str, object]) -> None:
        gallery.writer.record([detail_of(key, with_comment(json.dumps({**document, **changes})))])
        for path in ("/", f"/face/{FACE.key}", "/api/faces", f"/api/faces/{FACE.key}"):
            assert client.get(path).status_code == 200, path

    check()


@pytest.mark.parametrize("values", [{"clock_synchronised": []}, {"frame_size": [10**400, 10**400]}])
def test_metadata_that_an_earlier_version_has_indexed_breaks_no_page(world: World, values):
    """That version took any clock, and any number."""
    world.put(FACE)
    gallery = world.open()
    key = parse_key(FACE.key)
    assert key
    detail = detail_of(key, FACE.payload)
    odd = json.dumps({**json.loads(detail.document), **values})
    gallery.writer.record([replace(detail, document=odd)])
    answer = world.client(gallery).get(f"/face/{FACE.key}")
    assert answer.status_code == 200
    assert "unknown whether a time server had set it" in answer.text
