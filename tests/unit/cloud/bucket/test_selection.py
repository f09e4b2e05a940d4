"""Selections: what a key or a range covers, and what is no selection."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from face_app.cloud.bucket.selection import Selection, describe, parse_selection
from face_app.cloud.bucket.tombstone import MAX_BYTES, Tombstone, dump_tombstone, load_tombstone, read_tombstones
from face_app.common.errors import SettingsError, StoreError
from support.faces import TAKEN, drawn_face
from support.noise import noisy_face

FACE = noisy_face(7, visit="0badcafe-12345678-3")
COPY = f"quarantine/jetson/too-large/{FACE.sha256}.bin"
HOUR = timedelta(hours=1)
BEGAN = TAKEN.replace(minute=0, second=0, microsecond=0)


def described(face=FACE):
    found = describe(face.key, face.payload)
    assert found
    return found


@pytest.mark.parametrize(
    ("values", "covered", "by_key"),
    [
        ({"key": FACE.key}, True, True),
        ({"key": drawn_face(8).key}, False, False),
        ({"key": COPY}, False, False),
        ({"edge": "jetson"}, True, True),
        ({"edge": "nano"}, False, False),
        ({"edge": "jetson", "camera": "door"}, True, True),
        ({"edge": "jetson", "camera": "gate"}, False, False),
        ({"edge": "jetson", "from": TAKEN.isoformat()}, True, None),
        ({"edge": "jetson", "to": TAKEN.isoformat()}, False, None),
        ({"edge": "jetson", "from": (TAKEN + timedelta(microseconds=1)).isoformat()}, False, None),
        ({"edge": "jetson", "to": (TAKEN + timedelta(microseconds=1)).isoformat()}, True, None),
        ({"edge": "jetson", "from": BEGAN.isoformat(), "to": (BEGAN + HOUR).isoformat()}, True, True),
        ({"edge": "jetson", "from": (BEGAN + HOUR).isoformat()}, False, False),
        ({"edge": "jetson", "to": BEGAN.isoformat()}, False, False),
        ({"visit": "jetson/0badcafe-12345678-3"}, True, None),
        ({"visit": "0badcafe-12345678-3"}, True, None),
        ({"visit": "0badcafe-12345678-4"}, False, None),
        ({"visit": "0badcaff-12345678-3"}, False, False),
    ],
)
def test_a_selection_covers_by_metadata_and_decides_by_key_what_it_can(values, covered, by_key):
    selection = parse_selection(values)
    assert selection.covers(described()) is covered
    assert selection.decide(FACE.key) is by_key
    assert parse_selection(selection.document()) == selection


def test_a_face_of_an_early_version_has_a_visit_by_hour_and_track():
    face = drawn_face(7)
    visit = described(face).visit
    assert parse_selection({"visit": visit}).covers(described(face))
    assert not parse_selection({"visit": visit}).covers(described(drawn_face(8)))


def test_the_key_of_a_face_covers_its_copies_in_quarantine():
    copy = describe(COPY, FACE.payload)
    assert parse_selection({"key": FACE.key}).covers(copy)
    assert parse_selection({"key": COPY}).covers(copy)
    assert not parse_selection({"key": drawn_face(9).key}).covers(copy)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"why": "asked"},
        {"key": "jetson/door/2026/11/22/18/../18/face-0badcafe-000000007-0123456789ab.jpg"},
        {"key": "/jetson/door/2026/11/22/18/face-0badcafe-000000007-0123456789ab.jpg"},
        {"key": "jetson/door/2026/13/22/18/face-0badcafe-000000007-0123456789ab.jpg"},
        {"key": "erased/door/2026/11/22/18/face-0badcafe-000000007-0123456789ab.jpg"},
        {"key": f"erased/{FACE.key}"},
        {"key": "marks/jetson/0badcafe/subscriber-1.json"},
        {"key": "quarantine/../jetson/x.bin"},
        {"key": "quarantine/jetson/too-large/0123.bin"},
        {"key": f"{FACE.key}\n"},
        {"key": FACE.key, "edge": "jetson"},
        {"key": ["a"]},
        {"key": "x" * 10_000},
        {"edge": "../jetson"},
        {"edge": "jetson/door"},
        {"camera": "do or"},
        {"edge": "jetson", "from": "yesterday"},
        {"edge": "jetson", "from": "0001-01-01T00:00:00+23:59"},
        {"edge": "jetson", "from": TAKEN.isoformat(), "to": TAKEN.isoformat()},
        {"edge": "nano", "visit": "jetson/0badcafe-12345678-3"},
        {"visit": "../0badcafe-12345678-3"},
        {"visit": "3"},
    ],
)
def test_anything_else_is_no_selection(values):
    with pytest.raises(SettingsError):
        parse_selection(values)


RANGE = {"edge": "jetson", "from": "2026-11-22T18:00:00Z", "to": "2026-11-22T19:00:00+00:00"}


def test_a_tombstone_reads_back_and_its_key_derives_from_its_selection():
    first = Tombstone(parse_selection(RANGE), TAKEN, "ada", "asked for it")
    other = Tombstone(parse_selection({**RANGE, "from": "2026-11-22T19:00:00+01:00"}), TAKEN + HOUR, "vera")
    assert first.key == other.key
    assert first.key != Tombstone(parse_selection({"key": FACE.key}), TAKEN, "ada").key
    read = load_tombstone(dump_tombstone(first), first.key)
    assert (read.selection, read.by, read.why) == (first.selection, "ada", "asked for it")
    assert read.at == TAKEN.replace(microsecond=0)


WHOLE = dump_tombstone(Tombstone(parse_selection(RANGE), TAKEN, "ada"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"[" * 10_000,
        WHOLE[:-2],
        WHOLE.replace(b'"version": 1', b'"version": 2'),
        WHOLE.replace(b'"to"', b'"too"'),
        WHOLE.replace(b"jetson", b"../jetson"),
        WHOLE + b" " * MAX_BYTES,
        b'{"version": 1, "at": "2026-11-22T18:00:00Z", "by": "ada"}',
    ],
)
def test_a_bad_tombstone_is_reported_and_no_other_is_affected(data):
    good = Tombstone(parse_selection(RANGE), TAKEN, "ada")
    bad = "erased/_tombstones/0.json"
    with pytest.raises(StoreError, match="no tombstone"):
        load_tombstone(data, bad)
    found = read_tombstones([bad, good.key], {bad: data, good.key: WHOLE}.get)
    assert (list(found.by_key), list(found.bad)) == ([good.key], [bad])


@given(st.binary(max_size=200))
def test_no_bytes_end_the_reader(data):
    with pytest.raises(StoreError):
        load_tombstone(data, "erased/_tombstones/0.json")


def test_a_range_without_metadata_is_never_covered():
    assert not Selection(edge="jetson", until=TAKEN).covers(described().__class__(COPY, "jetson"))


@pytest.mark.parametrize("year", ["0001/01/01/00", "9999/12/31/23"])
def test_the_first_and_the_last_hour_can_be_compared(year):
    key = f"jetson/door/{year}/face-0badcafe-000000007-0123456789ab.jpg"
    assert parse_selection({"edge": "jetson"}).decide(key) is True
    assert parse_selection({"edge": "jetson", "from": "2026-01-01", "to": "2027-01-01"}).decide(key) is False
