"""The audit reports every change to the faces and nothing else."""

import hashlib
import io
import json
import os
import threading
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from face_app.cloud.audit import audit
from face_app.cloud.audit.content import wrong_contents
from face_app.cloud.audit.report import WrongObject
from face_app.cloud.audit.report_object import load_report
from face_app.cloud.audit.scope import Scope, scope_between
from face_app.cloud.audit.spans import Span
from face_app.cloud.audit.table import table
from face_app.cloud.bucket import operations
from face_app.cloud.bucket.selection import parse_selection, visit_of
from face_app.cloud.bucket.tombstone import Tombstone, dump_tombstone
from face_app.cloud.erasure.eraser import Eraser, complete
from face_app.cloud.stores import open_store
from face_app.common.errors import SettingsError, StoreError
from face_app.common.ledger_file import EdgeLedger, LedgerEntry, write_ledger
from face_app.common.settings import Erasure, Store
from support.audits import BEGAN, EVERYTHING, Face, Folder, as_numbers, audited, ledger_of
from support.faces import TAKEN, drawn_face
from support.s3 import client


class Bucket:
    """A bucket, written without the store's code."""

    def __init__(self, made: Store) -> None:
        self.settings = made
        self._client = client(made.endpoint)

    def put(self, key: str, data: bytes) -> None:
        self._client.put_object(Bucket=self.settings.bucket, Key=key, Body=data)

    def remove(self, key: str) -> None:
        self._client.delete_object(Bucket=self.settings.bucket, Key=key)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture(params=["directory", "s3", "mount"])
def place(request, tmp_path, bucket_name):
    if request.param == "directory":
        return Folder(tmp_path)
    server = request.getfixturevalue("weed_server")
    made = Store(
        kind=request.param,
        path=tmp_path / "not mounted",
        bucket=bucket_name,
        endpoint=server.endpoint,
        credentials_file=server.credentials,
    )
    client(server.endpoint).create_bucket(Bucket=bucket_name)
    return Bucket(made)


# Fates of a face: its entry in the ledger, whether it has an object, whether it has a tombstone.
FATES = {
    "stored": ("stored", True, False),
    "receipt under way": ("waiting", True, False),
    "refused by one, stored by another": ("refused", True, False),
    "expired after it was sent": ("expired", True, False),
    "waiting": ("waiting", False, False),
    "refused": ("refused", False, False),
    "expired": ("expired", False, False),
    "erased at the edge": ("erased", False, False),
    "erased in the cloud": ("stored", False, True),
    "erased and left the ledger": (None, False, True),
    "left the ledger": (None, True, False),
    "lost": ("stored", False, False),
    "lost and forgotten": (None, False, False),
    "erased but there": ("stored", True, True),
    "erased but there again": ("erased", True, False),
}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(FATES)), min_size=1, max_size=60), st.booleans(), st.randoms())
def test_counts_any_mixture_of_fates(fates, pruned, order):
    faces = [Face(number) for number in range(1, len(fates) + 1)]
    entries, objects, stones = [], set(), set()
    with TemporaryDirectory() as path:
        place = Folder(Path(path))
        for face, fate in zip(faces, fates, strict=True):
            state, there, stone = FATES[fate]
            if state:
                entries.append(face.entry(state, {"refused": "too-large", "expired": "disk-full"}.get(state, "")))
            if there:
                objects.add(face.number)
                place.put(face.key, face.data)
            if stone:
                stones.add(face.number)
                place.put(f"erased/{face.key}", b"")
        order.shuffle(entries)
        complete_since = faces[-1].captured_at + timedelta(hours=1) if pruned else None
        report, outbox = audited(place, [ledger_of(entries, len(faces), complete_since=complete_since)])

    count = Counter(fates)
    assert outbox.captured == len(faces)
    assert outbox.under_way == sum(
        count[fate] for fate in ("receipt under way", "refused by one, stored by another", "expired after it was sent")
    )
    assert outbox.stored == outbox.under_way + count["stored"] + count["left the ledger"]
    assert outbox.waiting == count["waiting"]
    assert outbox.refused == +Counter({"too-large": count["refused"]})
    assert outbox.expired == +Counter({"disk-full": count["expired"]})
    assert outbox.erased == sum(number for fate, number in count.items() if fate.startswith("erased"))
    lost = {face.number for face, fate in zip(faces, fates, strict=True) if fate.startswith("lost")}
    assert as_numbers(outbox.missing) == lost
    returned = [face.key for face, fate in zip(faces, fates, strict=True) if fate.startswith("erased but there")]
    assert sorted(outbox.erased_but_there) == sorted(returned)
    left = [face.key for face, fate in zip(faces, fates, strict=True) if fate == "left the ledger"]
    assert sorted(outbox.unknown) == ([] if pruned else sorted(left))
    listed = objects | stones
    assert as_numbers(outbox.gaps) == set(range(1, max(listed, default=0) + 1)) - listed
    assert (outbox.wrong, outbox.duplicates, outbox.newer) == ((), (), 0)
    assert report.objects_read == len(objects)
    assert report.balanced == (not lost and not returned and (pruned or not left))
    assert json.loads(json.dumps(report.document()))["holds"] == report.balanced


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(1, 60), min_size=1), st.sets(st.integers(1, 60)))
def test_finds_gaps_from_the_bucket_alone(numbers, erased):
    with TemporaryDirectory() as path:
        place = Folder(Path(path))
        for number in numbers:
            place.put(Face(number).key, Face(number).data)
        for number in erased - numbers:
            place.put(f"erased/{Face(number).key}", b"")
        report, outbox = audited(place, [])
    listed = numbers | erased
    gaps = set(range(1, max(listed) + 1)) - listed
    assert as_numbers(outbox.gaps) == gaps
    assert all(before.last + 1 < after.first for before, after in zip(outbox.gaps, outbox.gaps[1:], strict=False))
    assert (outbox.stored, outbox.captured) == (len(numbers), max(listed))
    assert report.balanced == (not gaps)
    assert not report.proven
    assert ("not hold" in report.verdict) == bool(gaps)
    assert "jetson, outbox 0badcafe: no ledger was given" in report.unproven[0]


@pytest.fixture
def correct(place):
    """Twenty real faces in a store, and the ledger that knows them."""
    faces = [drawn_face(number) for number in range(1, 21)]
    for face in faces:
        place.put(face.key, face.payload)
    entries = [LedgerEntry(face.id, face.key, face.sha256, "stored", "", face.metadata.captured_at) for face in faces]
    return place, faces, [ledger_of(entries, 20)]


def test_finds_no_fault_in_correct_faces(correct):
    place, _, ledgers = correct
    report, outbox = audited(place, ledgers)
    assert report.balanced
    assert report.proven
    assert (outbox.captured, outbox.stored, report.objects_read) == (20, 20, 20)
    assert "the equation holds: 20 captured" in table(report)


def test_reports_a_deleted_object_as_missing(correct):
    place, faces, ledgers = correct
    place.remove(faces[6].key)
    report, outbox = audited(place, ledgers)
    assert outbox.missing == outbox.gaps == (Span(7, 7),)
    assert (outbox.captured, outbox.stored) == (20, 19)
    assert report.faults == {"missing": 1}


def test_reports_one_changed_byte_as_a_wrong_object(correct):
    place, faces, ledgers = correct
    changed = bytearray(faces[11].payload)
    changed[-3] ^= 1
    place.put(faces[11].key, bytes(changed))
    report, outbox = audited(place, ledgers)
    (wrong,) = outbox.wrong
    assert wrong.key == faces[11].key
    assert hashlib.sha256(changed).hexdigest()[:12] in wrong.why
    assert report.faults == {"wrong": 1}
    assert audit.run(place.settings, [], EVERYTHING, content=True).faults == {"wrong": 1}
    unread = audit.run(place.settings, [], EVERYTHING, content=False)
    assert (unread.balanced, unread.objects_read) == (True, None)
    assert any("--no-content" in sentence for sentence in unread.not_judged)


def test_reports_adjacent_lost_faces_as_one_span(folder):
    folder.put(Face(5).key, Face(5).data)
    entries = [Face(number).entry() for number in (1, 2, 4, 5)]
    assert audited(folder, [ledger_of(entries, 7)])[1].missing == (Span(1, 4), Span(6, 7))


def test_an_object_that_goes_between_the_list_and_the_reading(correct):
    place, faces, _ = correct
    place.remove(faces[0].key)
    claims = [(face.key, face.sha256) for face in faces[:2]]
    read = wrong_contents(operations.reader(place.settings), claims)
    assert list(read) == [(faces[0].key, "deleted since it was listed"), (faces[1].key, "")]


def test_a_store_that_is_gone(s3_settings, tmp_path):
    for settings_ in (s3_settings, Store(kind="directory", path=tmp_path / "none")):
        with pytest.raises(StoreError):
            audit.run(settings_, [], EVERYTHING, content=True)


def test_bytes_that_fit_the_name_but_not_the_ledger(folder):
    face = Face(1)
    folder.put(face.key, face.data)
    twelve_alike = face.sha256[:12] + "0" * 52
    report, outbox = audited(folder, [ledger_of([replace(face.entry(), sha256=twelve_alike)], 1)])
    assert outbox.wrong == (WrongObject(face.key, f"its SHA-256 is {face.sha256}, the ledger has {twelve_alike}"),)
    assert not report.balanced


def test_a_face_in_another_place_than_the_ledger_says(folder):
    face = Face(1)
    moved = replace(face, began=BEGAN + timedelta(hours=1))
    folder.put(moved.key, face.data)
    report, outbox = audited(folder, [ledger_of([face.entry()], 1)], content=False)
    assert outbox.wrong == (WrongObject(moved.key, f"its key in the ledger is {face.key}"),)
    assert (outbox.stored, report.balanced) == (1, False)


def test_two_objects_with_one_id(folder):
    face, twin = Face(1), Face(1, life=1)
    folder.put(face.key, face.data)
    folder.put(twin.key, twin.data)
    for ledgers in ([], [ledger_of([face.entry()], 1)]):
        report, outbox = audited(folder, ledgers)
        assert outbox.duplicates == (tuple(sorted([face.key, twin.key])),)
        assert (outbox.stored, report.objects_read, report.faults) == (1, 2, {"duplicated": 1})


def test_two_faces_with_one_id_in_two_ledgers(folder):
    face = Face(1)
    folder.put(face.key, face.data)
    other = replace(face.entry(), sha256="0" * 64, key="jetson/door/other")
    report, outbox = audited(folder, [ledger_of([face.entry()], 1), ledger_of([other], 1)])
    assert outbox.duplicates == ((face.key, other.key),)
    assert not report.balanced


def test_two_ledgers_of_one_edge_are_one(folder):
    """The later one knows more; the order does not matter."""
    one, two = Face(1), Face(2)
    folder.put(one.key, one.data)
    for order in (1, -1):
        early = ledger_of([one.entry("waiting")], 1)
        late = ledger_of([one.entry(), two.entry("waiting")], 2)
        report, outbox = audited(folder, [early, late][::order])
        assert (outbox.captured, outbox.stored, outbox.under_way, outbox.waiting) == (2, 1, 0, 1)
        assert report.balanced


def test_a_rescued_outbox_accounts_for_the_old_one(folder):
    old, new = Face(3, outbox="00000001"), Face(1)
    folder.put(old.key, old.data)
    ledger = EdgeLedger("jetson", {"0badcafe": 1, "00000001": 3}, None, [old.entry("waiting"), new.entry("waiting")])
    report, (first, second) = audited(folder, [ledger])
    assert (first.outbox, first.captured, first.stored) == ("00000001", 3, 1)
    assert first.missing == (Span(1, 2),)
    assert (second.outbox, second.captured, second.waiting, second.missing) == ("0badcafe", 1, 1, ())
    assert report.edges[0].counts()["captured"] == 4


def test_a_number_that_only_one_of_two_ledgers_has_given(folder):
    for order in (1, -1):
        _, outbox = audited(folder, [ledger_of([], 2), ledger_of([], 3)][::order])
        assert (outbox.captured, outbox.missing) == (3, (Span(1, 3),))


def test_an_old_outbox_that_the_first_line_does_not_name(folder):
    ledger = EdgeLedger("jetson", {"0badcafe": 0}, None, [Face(3, outbox="00000001").entry("waiting")])
    report, (outbox, empty) = audited(folder, [ledger])
    assert (outbox.outbox, outbox.captured, outbox.waiting, outbox.missing) == ("00000001", 3, 1, (Span(1, 2),))
    assert (empty.captured, empty.unproven) == (0, ())
    assert "does not say how many numbers" in report.unproven[0]


def test_faces_newer_than_the_ledger_are_no_fault(folder):
    for number in (1, 2, 4):
        folder.put(Face(number).key, Face(number).data)
    report, outbox = audited(folder, [ledger_of([Face(1).entry(), Face(2).entry()], 2)])
    assert (outbox.captured, outbox.stored, outbox.newer, outbox.gaps) == (2, 2, 1, (Span(3, 3),))
    assert report.balanced
    assert not report.proven, "number 3 was given, and is nowhere"
    assert "3: given after the ledger was written" in report.unproven[0]
    folder.put_faces(Face(3))
    assert audited(folder, [ledger_of([Face(1).entry(), Face(2).entry()], 2)])[0].proven


def test_an_object_that_the_ledger_must_know(folder):
    """Earlier than its first complete hour it may have left the ledger; later it may not."""
    for number in range(1, 31):
        folder.put(Face(number).key, Face(number).data)
    since = Face(15).captured_at
    entries = [Face(number).entry() for number in range(15, 31) if number not in {16, 25}]
    report, outbox = audited(folder, [ledger_of(entries, 30, complete_since=since)])
    assert outbox.unknown == (Face(16).key, Face(25).key)
    assert report.faults == {"unknown to the ledger": 2}


def test_a_face_that_came_and_went_between_two_ledgers(folder):
    faces = [Face(number) for number in (1, 2, 3)]
    for face in faces:
        folder.put(face.key, face.data)
    later = faces[2].captured_at + timedelta(hours=1)
    for order in (1, -1):
        early, late = ledger_of([faces[0].entry("waiting")], 1), ledger_of([], 3, complete_since=later)
        report, outbox = audited(folder, [early, late][::order])
        assert (outbox.captured, outbox.stored, outbox.unknown) == (3, 3, ())
        assert report.balanced
    late = ledger_of([faces[1].entry()], 3, complete_since=BEGAN - timedelta(hours=1))
    assert audited(folder, [ledger_of([faces[0].entry("waiting")], 1), late])[1].unknown == (faces[2].key,)


def test_only_one_edge(folder):
    mine, other = Face(1), Face(1, outbox="ffffffff", edge="other")
    for face in (mine, other):
        folder.put(face.key, face.data)
    folder.put("quarantine/empty/00.bin", b"")
    others = [ledger_of([], 1, outbox="ffffffff", edge="other"), ledger_of([], 1, outbox="eeeeeeee", edge="other")]
    ledgers = [ledger_of([mine.entry()], 1), *others]
    report, outbox = audited(folder, ledgers, Scope(edge="jetson"))
    assert (outbox.edge, outbox.captured, report.objects_read) == ("jetson", 1, 1)
    assert report.balanced
    assert any("ledgers of other:" in sentence for sentence in report.not_judged)
    report, _ = audited(folder, [], Scope(edge="jet"))
    assert report.edges == ()
    assert report.unproven == ("no face, ledger or mark was found: check bucket, edge and times",)


def test_the_verdict_names_the_faces_that_the_edge_gave_up(folder):
    entries = [Face(1).entry("waiting"), Face(2).entry("expired", "drop-oldest"), Face(3).entry("expired", "damaged")]
    report, _ = audited(folder, [ledger_of(entries, 3, a1=1)])
    assert report.proven
    assert report.verdict == "the equation holds: 3 captured, 2 expired (damaged 1, drop-oldest 1)"


def test_what_needs_a_ledger_is_unknown_in_each_sum(folder):
    folder.put_faces(Face(1), Face(1, outbox="5ca1ab1e"))
    report, _ = audited(folder, [ledger_of([Face(1).entry()], 1, a1=1)])
    (edge,) = report.edges
    for counts in (edge.counts(), report.counts(), report.document()["counts"]):
        assert (counts["captured"], counts["stored"], counts["waiting"]) == (2, 2, None)
    (row,) = [line.split() for line in table(report).splitlines() if " all " in line]
    assert row[:5] == ["jetson", "all", ">=2", "2", "?"]


def test_an_edge_that_was_renamed(folder):
    before, after = Face(1, edge="jetson-1"), Face(2, edge="jetson")
    folder.put(f"erased/{after.key}", b"")
    ledger = ledger_of([before.entry("waiting"), after.entry()], 2)
    report, outbox = audited(folder, [ledger], Scope(edge="jetson"))
    assert (outbox.captured, outbox.waiting, outbox.erased) == (1, 0, 1)
    assert report.balanced


def test_a_range_of_time(folder):
    faces = [Face(number) for number in range(1, 101)]
    for face in faces:
        if face.number not in {3, 50, 97}:
            folder.put(face.key, face.data)
    scope = Scope(since=faces[39].captured_at, until=faces[59].captured_at)
    report, outbox = audited(folder, [ledger_of([face.entry() for face in faces], 100)], scope)
    assert (outbox.captured, outbox.stored, outbox.missing) == (20, 19, (Span(50, 50),))
    assert report.objects_read == 19
    report, outbox = audited(folder, [], scope)
    hours = {face.captured_at.replace(minute=0) for face in faces[39:59]}
    within = [face for face in faces if face.captured_at.replace(minute=0) in hours]
    assert (outbox.captured, outbox.gaps) == (len(within), (Span(50, 50),))
    assert any("hour" in sentence for sentence in report.not_judged)
    report, outbox = audited(folder, [], Scope(until=faces[0].captured_at + timedelta(days=1)))
    assert outbox.gaps == (Span(3, 3), Span(50, 50), Span(97, 97))
    assert audited(folder, [], Scope(since=BEGAN + timedelta(days=9)))[0].edges == ()


def test_a_number_that_no_range_hides(folder):
    """Face 3 is nowhere: a range around it finds it, one beside it does not."""
    for number in (1, 2, 4, 5, 40):
        folder.put(Face(number).key, Face(number).data)

    def ledger():
        return ledger_of([Face(number).entry() for number in (1, 2, 4, 5, 40)], 40)

    around = Scope(until=Face(5).captured_at + timedelta(seconds=1))
    assert audited(folder, [ledger()], around)[1].missing == (Span(3, 3),)
    early = ledger_of([Face(1).entry(), Face(2).entry()], 2)
    assert audited(folder, [early], around)[0].balanced
    beside = Scope(since=Face(4).captured_at, until=Face(5).captured_at + timedelta(seconds=1))
    assert audited(folder, [ledger()], beside)[0].balanced


def test_counts_other_keys_separately(folder):
    for key in (
        "quarantine/empty/00.bin",
        "quarantine/empty/01.bin",
        "quarantine/too-large/02.bin",
        "quarantine/jetson/too-large/02.bin",
        "quarantine/-/empty/03.bin",
        "marks/jetson/0badcafe/subscriber-1.json",
        "marks/jetson/0badcafe/notes.txt",
        "test/seed/2026/11/22/18/face-0123456789ab.jpg",
        "quarantine/holiday.jpg",
        "holiday.jpg",
        "erased/holiday.jpg",
        "jetson/door/2026/13/22/18/face-0badcafe-000000001-0123456789ab.jpg",
    ):
        folder.put(key, b"")
    folder.put_mark(a1=(1, 0))
    report = audit.run(folder.settings, [], EVERYTHING, content=True)
    assert report.quarantine == {"empty": 3, "too-large": 2}
    assert report.bare_images == 1
    assert [key[:12] for key in report.foreign] == [
        "erased/holid",
        "holiday.jpg",
        "jetson/door/",
        "marks/jetson",
        "quarantine/h",
    ]
    assert (report.objects_read, report.balanced, report.proven) == (0, True, False)


def test_logs_progress(folder, monkeypatch, caplog):
    monkeypatch.setattr(audit, "PROGRESS_SECONDS", -1)
    folder.put(Face(1).key, Face(1).data)
    with caplog.at_level("INFO", "face_app.cloud.audit"):
        audit.run(folder.settings, [], EVERYTHING, content=True)
    assert caplog.messages == ["1 keys listed", "1 objects read"]


def test_a_huge_number_costs_no_time(folder):
    folder.put(f"jetson/door/2026/11/22/18/face-0badcafe-{10**15}-{'0' * 12}.jpg", b"")
    report, outbox = audited(folder, [])
    assert outbox.gaps == (Span(1, 10**15 - 1),)
    assert not report.balanced


def test_the_table_shows_twenty_and_counts_the_rest(folder):
    for number in range(2, 50, 2):
        folder.put(Face(number).key, b"other")
    text = table(audit.run(folder.settings, [], EVERYTHING, content=True))
    assert text.count("its name has another") == 20
    assert "… and 4 more" in text
    head, row = text.splitlines()[:2]
    assert head.split()[:4] == ["edge", "outbox", "captured", "stored"]
    assert row.split()[:4] == ["jetson", "0badcafe", ">=48", "24"]
    assert head.index("captured") + len("captured") == row.index(">=48") + len(">=48")


@pytest.mark.parametrize(
    ("edge", "since", "until", "named"),
    [
        ("a/b", None, None, "--edge"),
        ("", None, None, "--edge"),
        (None, "yesterday", None, "--from"),
        (None, None, "2026-13-01", "--to"),
        (None, "2026-11-22", "2026-11-22T00:00:00Z", "not before"),
    ],
)
def test_a_scope_that_is_none(edge, since, until, named):
    with pytest.raises(SettingsError, match=named):
        scope_between(edge, since, until)


def test_times_as_people_write_them():
    scope = scope_between("jetson", "2026-11-22", "2026-11-22T18:30:00Z")
    assert scope == Scope("jetson", datetime(2026, 11, 22, tzinfo=timezone.utc), BEGAN)
    assert scope_between(None, "2026-11-22T19:30:00+01:00", None).since == BEGAN


@pytest.fixture
def command(tmp_path, prestarted):
    """`face-app audit` over a plain folder."""
    config = tmp_path / "cloud.toml"
    config.write_text(f'[store]\nkind = "directory"\npath = "{tmp_path}/faces"\n')

    def run(*arguments, ledger=b""):
        return prestarted.run("audit", "--config", config, *arguments, environment=os.environ, given=ledger)

    return run


def test_the_command(command, tmp_path):
    assert command().returncode == 6
    faces, place = [Face(1), Face(2)], Folder(tmp_path / "faces")
    operations.ensure(place.settings, check=False)
    store = open_store(place.settings)
    for face in faces:
        store.put(face.key, face.data, face.sha256)
    file = io.BytesIO()
    write_ledger(ledger_of([face.entry() for face in faces], 2), file)
    good = command("--ledger", "-", "--json", ledger=file.getvalue())
    assert (good.returncode, good.stderr) == (0, b"")
    assert json.loads(good.stdout.splitlines()[-1])["edges"][0]["counts"]["stored"] == 2

    alone = command()
    assert alone.returncode == 10
    assert b"may be lost:\n  jetson, outbox 0badcafe: no ledger was given" in alone.stdout
    assert alone.stderr.startswith(b"face-app: no fault, but not proven: 2 captured or more")

    place.remove(faces[0].key)
    (tmp_path / "edge.ledger").write_bytes(file.getvalue())
    bad = command("--ledger", str(tmp_path / "edge.ledger"))
    assert bad.returncode == 9
    assert b"missing (jetson, outbox 0badcafe), by number:\n  1\n" in bad.stdout
    assert bad.stderr == b"face-app: the equation does not hold: 2 captured, 1 missing\n"
    assert json.loads(command("--json").stdout)["faults"] == {"unexplained": 1}


def test_the_command_leaves_its_report(command, tmp_path):
    place = Folder(tmp_path / "faces")
    place.put_faces(Face(1))
    assert command().returncode == 10
    assert not (place.path / "audits").exists()
    assert command("--publish").returncode == 10
    report = load_report((place.path / "audits/jetson.json").read_bytes(), "audits/jetson.json")
    assert (report.exit_code, report.outboxes[0].counts["stored"]) == (10, 1)
    place.put_faces(Face(3))
    assert command("--publish", "--edge", "jetson").returncode == 9
    assert load_report((place.path / "audits/jetson.json").read_bytes(), "audits/jetson.json").exit_code == 9


def test_a_report_that_cannot_be_left_hides_no_fault(command, tmp_path):
    place = Folder(tmp_path / "faces")
    place.put_faces(Face(1))
    place.put("audits", b"a file, where the folder belongs")
    unwritten = command("--publish")
    assert unwritten.returncode == 6
    assert b"no fault, but not proven" in unwritten.stdout
    place.put_faces(Face(3))
    faulty = command("--publish")
    assert faulty.returncode == 9
    assert b"the report is not published" in faulty.stderr


@pytest.mark.parametrize(
    "arguments", [("--ledger", "/nowhere"), ("--ledger", "-"), ("--from", "now"), ("--edge", "a/b"), ("--nonsense",)]
)
def test_wrong_usage(command, tmp_path, arguments):
    (tmp_path / "faces").mkdir()
    wrong = command(*arguments)
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert wrong.stderr


def tombstone_in(place, values):
    tombstone = Tombstone(parse_selection(values), datetime.now(timezone.utc), "ada")
    place.put(tombstone.key, dump_tombstone(tombstone))


ERASED_RANGES = {
    "key": lambda face: {"key": face.key},
    "range": lambda _: {"edge": "jetson", "from": "2026-11-22T18:00", "to": "2026-11-22T19:00"},
    "part of an hour": lambda _: {"edge": "jetson", "from": TAKEN.isoformat(), "to": "2026-11-22T18:30:02"},
    "visit": lambda face: {"visit": f"jetson/{visit_of(face.key, face.metadata)}", "to": "2027-01-01"},
}


@pytest.mark.parametrize("kind", ERASED_RANGES)
def test_an_object_that_a_tombstone_covers_is_a_fault_with_its_cure(place, kind):
    face, other = drawn_face(1), drawn_face(2, captured_at=TAKEN + timedelta(hours=1))
    for each in (face, other):
        place.put(each.key, each.payload)
    assert audited(place, [])[0].faults == {}
    tombstone_in(place, ERASED_RANGES[kind](face))
    for scope in (EVERYTHING, Scope("jetson")):
        report, _ = audited(place, [], scope)
        assert report.faults == {"erased but there": 1}
        assert [each.erased_but_there for each in report.outboxes] == [(face.key,)]
        assert (report.counts()["erased"], report.counts()["stored"]) == (1, 1)
        assert "face-app erase --pending" in table(report)
    eraser = Eraser(place.settings, Erasure())
    complete(eraser, eraser.tombstones(), stop=threading.Event(), may_wait=False)
    report, _ = audited(place, [])
    assert (report.faults, report.foreign) == ({}, ())
    assert (report.counts()["erased"], report.counts()["stored"]) == (1, 1)


def test_a_tombstone_of_a_waiting_face_changes_nothing_and_a_bad_one_is_named(folder):
    face = Face(1)
    tombstone_in(folder, {"key": face.key})
    folder.put("erased/_tombstones/bad.json", b"{}")
    report, _ = audited(folder, [ledger_of([face.entry("waiting")], 1)])
    assert report.balanced
    assert report.counts()["waiting"] == 1
    assert any("bad.json is no tombstone" in each for each in report.not_judged)
