"""Checks that a committed face survives every crash, and that only receipts change it."""

import hashlib
import os
import random
import signal
import sqlite3
import stat
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from face_app.common.errors import OutboxError, OutboxUnavailableError
from face_app.common.ledger_file import open_ledgers, write_ledger
from face_app.common.metadata import read_image
from face_app.common.settings import OutboxFile
from face_app.common.wire import FaceId, FaceTopic, Receipt, face_of_key, object_key
from face_app.edge.outbox.disk import BALLAST, ballast_path
from face_app.edge.outbox.export import export_ledger, export_visits
from face_app.edge.outbox.outbox import Outbox
from support.new_faces import new_face
from support.processes import process
from support.visits import visit

INSERTING = """
import sys
from face_app.edge.outbox.outbox import Outbox
from face_app.common.settings import OutboxFile
from support.new_faces import new_face
with Outbox(OutboxFile(path=sys.argv[1])) as outbox:
    for _ in range(int(sys.argv[2])):
        for face in outbox.append([new_face("door", size=120) for _ in range(3)]):
            print(face.id, face.sha256, flush=True)
"""


def opened(path, **settings):
    return Outbox(OutboxFile(path=path, **settings))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "outbox.db"


@pytest.fixture
def outbox(path):
    with opened(path) as outbox:
        yield outbox


def receipt(face, result="stored", **changes):
    made = Receipt(
        face.id, face.sha256, face.key, datetime.now(timezone.utc), result, "" if result == "stored" else "bad"
    )
    return replace(made, **changes)


def unwritable_face():
    """Return a face whose metadata fails inside the transaction."""
    face = new_face()
    return replace(face, metadata=replace(face.metadata, shot_terms={"size": object()}))


def inserting(path, times, log):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return process([sys.executable, "-c", INSERTING, path, str(times)], log, env=environment)


def rows(path, query):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def check(path):
    """Check that number, id, key, hash and embedded metadata of each row agree, and that no number is missing."""
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    ((own_id, last),) = rows(path, "SELECT id, sequence FROM outbox")
    faces = rows(path, "SELECT row, id, topic, key, sha256, file FROM faces JOIN pixels USING (row) ORDER BY row")
    assert [face[0] for face in faces] == list(range(1, last + 1))
    for sequence, face_id, topic, key, sha256, pixels in faces:
        image = read_image(pixels, max_pixels=10**6)
        metadata = image.metadata
        assert hashlib.sha256(pixels).hexdigest() == sha256
        assert image.face_id == FaceId(own_id, sequence) == FaceId.parse(face_id) == face_of_key(key)
        assert topic == str(FaceTopic(metadata.edge, metadata.camera))
        assert key == object_key(FaceTopic.parse(topic), image.face_id, metadata.captured_at, sha256, "jpg")
    return faces


def test_numbers_the_faces_of_a_commit(outbox, path):
    faces = outbox.append([new_face("door"), new_face("yard")])
    faces += outbox.append([new_face("door")])
    assert [face.id.sequence for face in faces] == [1, 2, 3]
    assert [row[2] for row in check(path)] == ["face_app/jetson/door", "face_app/jetson/yard", "face_app/jetson/door"]
    assert [row[4] for row in check(path)] == [face.sha256 for face in faces]
    topic, pixels = outbox.payloads([2])[2]
    assert topic == "face_app/jetson/yard"
    assert hashlib.sha256(pixels).hexdigest() == faces[1].sha256


def test_a_failed_commit_adds_no_face(outbox, path):
    outbox.append([new_face()])
    with pytest.raises(TypeError, match="not JSON serializable"):
        outbox.append([new_face(), unwritable_face()])
    assert outbox.append([new_face()])[0].id.sequence == 2
    assert len(check(path)) == 2


def test_commits_visits_with_and_without_faces(outbox):
    came = [visit(1, ago=30), visit(2, "yard", shots=0, ago=20), visit(3)]
    outbox.append([new_face()], came[:2])
    outbox.append([], came[2:])
    assert list(export_visits(outbox)) == came
    assert outbox.run_counts().waiting == 1
    assert outbox.append([new_face()])[0].id.sequence == 2


def test_a_failed_commit_adds_neither_face_nor_visit(outbox):
    with pytest.raises(TypeError, match="not JSON serializable"):
        outbox.append([new_face(), unwritable_face()], [visit()])
    with pytest.raises(OutboxError, match="NOT NULL"):
        outbox.append([new_face()], [visit(1), replace(visit(2), camera=None)])
    assert list(export_visits(outbox)) == []
    assert outbox.run_counts().waiting == 0


def test_a_full_outbox_accepts_no_visit(path):
    with opened(path, max_bytes=1_000_000) as outbox:
        with pytest.raises(OutboxUnavailableError, match="is full"):
            outbox.append([new_face(size=900) for _ in range(100)], [visit()])
        assert list(export_visits(outbox)) == []


def test_prunes_old_visits(path):
    with opened(path, ledger_days=1) as outbox:
        outbox.append([], [visit(1, ago=100_000), visit(2, ago=80_000)])
        outbox.maintain()
        assert [each.track for each in export_visits(outbox)] == [2]


def test_the_file_is_private_and_synchronous(outbox, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert outbox._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert outbox._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_each_file_has_an_id_of_its_own(path, tmp_path):
    with opened(path) as one, opened(path) as same, opened(tmp_path / "other.db") as other:
        assert one.id == same.id != other.id
        assert len(bytes.fromhex(one.id)) == 4


def test_processes_that_create_the_file_concurrently_share_it(path, tmp_path):
    logs = [tmp_path / f"{number}.log" for number in range(3)]
    runs = [inserting(path, 5, log) for log in logs]
    for run in runs:
        run.__enter__().wait(90)
        run.__exit__(None, None, None)
    committed = [line.split() for log in logs for line in log.read_text().splitlines()]
    assert len(committed) == 45, [log.read_text()[-300:] for log in logs]
    assert sorted(face_id for face_id, _ in committed) == [row[1] for row in check(path)]


def test_processes_append_while_a_thread_applies_receipts(path, tmp_path):
    logs = [tmp_path / "one.log", tmp_path / "other.log"]
    stored = []
    with opened(path) as outbox, inserting(path, 20, logs[0]) as one, inserting(path, 20, logs[1]) as other:

        def apply():
            while len(stored) < 60:
                for sequence in outbox.oldest_pending(5):
                    _, pixels = outbox.payloads([sequence])[sequence]
                    sha256 = hashlib.sha256(pixels).hexdigest()
                    taken = Receipt(FaceId(outbox.id, sequence), sha256, "", datetime.now(timezone.utc), "stored")
                    stored.extend(outbox.apply_receipts([taken]))

        reader = threading.Thread(target=apply)
        reader.start()
        mine = [face for _ in range(20) for face in outbox.append([new_face("mine")])]
        assert one.wait(90) == other.wait(60) == 0
        reader.join(60)
        assert outbox.run_counts().waiting + outbox.run_counts().stored == len(mine) == 20
    states = rows(path, "SELECT row, state, file IS NULL FROM faces LEFT JOIN pixels USING (row) ORDER BY 1")
    assert [sequence for sequence, *_ in states] == list(range(1, 141))
    assert sum(state == "stored" for _, state, _ in states) == len(stored) >= 60
    assert all((state == "stored") == bool(gone) for _, state, gone in states)


def test_a_kill_during_appends_loses_no_committed_face(path, tmp_path):
    """Reported faces are in the file; others are complete or absent; the next append succeeds."""
    chance = random.Random(7)
    reported = []
    for round_ in range(3):
        log = tmp_path / f"{round_}.log"
        with inserting(path, 100_000, log) as running:
            deadline = time.monotonic() + 90
            while log.stat().st_size < 8 * len(f"{0:032} {0:064}\n") and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(chance.random() * 0.1)
            running.send_signal(signal.SIGKILL)
            assert running.wait() == -signal.SIGKILL
        reported += [line.split() for line in log.read_text().splitlines() if len(line) == 32 + 1 + 64]
    assert len(reported) > 20
    with opened(path) as outbox:
        outbox.append([new_face()])
    committed = {(row[1], row[4]) for row in check(path)}
    assert {tuple(each) for each in reported} <= committed


def test_a_stored_receipt_deletes_the_pixels_and_leaves_the_row(outbox, path):
    face, other = outbox.append([new_face(), new_face()])
    assert [(sequence, each.result) for sequence, each in outbox.apply_receipts([receipt(face)])] == [(1, "stored")]
    assert outbox.apply_receipts([receipt(face)]) == []
    assert outbox.payloads([1]).get(1) is None
    assert outbox.oldest_pending(10) == [2]
    assert rows(path, "SELECT state, key FROM faces WHERE row = 1") == [("stored", face.key)]
    assert rows(path, "SELECT row FROM pixels") == [(2,)]
    assert (outbox.run_counts().waiting, outbox.run_counts().stored, outbox.run_counts().refused) == (1, 1, 0)
    mine = outbox.run_faces()
    assert [each.id for each in mine] == [face.id, other.id]
    assert mine[0].updated_at >= mine[0].captured_at


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "0" * 64},
        {"id": None},
        {"id": FaceId("0badcafe", 1)},
        {"id": FaceId("ID", 2)},
        {"id": FaceId("ID", 10**25)},
    ],
    ids=["other hash", "no id", "other outbox", "other face", "huge number"],
)
def test_a_receipt_that_matches_no_face_changes_nothing(outbox, path, changes):
    face, _ = outbox.append([new_face(), new_face("other")])
    if "id" in changes and changes["id"] and changes["id"].outbox == "ID":
        changes = {"id": replace(changes["id"], outbox=outbox.id)}
    assert outbox.apply_receipts([receipt(face, **changes)]) == []
    assert outbox.oldest_pending(10) == [1, 2]
    check(path)


@pytest.mark.parametrize("with_id", [True, False])
def test_a_refused_face_stays_with_its_pixels_and_is_not_sent(outbox, path, with_id):
    face, _ = outbox.append([new_face(), new_face("other")])
    changes = {} if with_id else {"id": None}
    assert [sequence for sequence, _ in outbox.apply_receipts([receipt(face, "refused", **changes)])] == [1]
    assert outbox.oldest_pending(10) == [2]
    assert outbox.payloads([1]).get(1) is None
    assert outbox.run_faces()[0].state == "refused"
    assert outbox.run_faces()[0].reason == "bad"
    assert outbox.run_counts().refused == 1
    check(path)


def test_a_stored_receipt_overrides_a_refusal(outbox):
    (face,) = outbox.append([new_face()])
    outbox.apply_receipts([receipt(face, "refused")])
    assert len(outbox.apply_receipts([receipt(face)])) == 1
    assert outbox.apply_receipts([receipt(face, "refused")]) == []
    assert outbox.run_counts().stored == 1


def test_counts_the_backlog_and_its_age(outbox):
    assert outbox.backlog() == (0, 0.0)
    outbox.append([new_face(), new_face()])
    time.sleep(0.05)
    waiting, oldest = outbox.backlog()
    assert waiting == 2
    assert 0.05 <= oldest < 5


def test_does_not_count_the_faces_of_another_run(path):
    with opened(path) as before:
        before.append([new_face()])
    with opened(path) as outbox:
        assert outbox.run_counts().waiting == 0
        assert outbox.run_faces() == []
        assert outbox.oldest_pending(10) == [1]


def test_refuses_another_sqlite_file_and_does_not_change_it(tmp_path):
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE photographs (a)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(OutboxError, match="is no outbox but another SQLite file"):
        opened(path)
    assert path.read_bytes() == before


def test_refuses_a_folder_as_the_file(tmp_path):
    with pytest.raises(OutboxError, match=r"is no file; set outbox\.path"):
        opened(tmp_path)


def test_refuses_a_file_as_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutboxError, match=r"outbox\.path"):
        opened(tmp_path / "file" / "outbox.db")


def test_reports_a_writer_that_blocks_the_file(outbox, path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    outbox._connection.execute("PRAGMA busy_timeout = 100")
    with pytest.raises(OutboxUnavailableError, match="is locked; another program blocks it"):
        outbox.append([new_face()])
    other.execute("ROLLBACK")
    assert outbox.append([new_face()])[0].id.sequence == 1


def test_the_file_shrinks_after_a_backlog(path, monkeypatch):
    monkeypatch.setattr("face_app.edge.outbox.upkeep.SPARE_PAGES", 16)
    with opened(path) as outbox:
        faces = [face for _ in range(30) for face in outbox.append([new_face(size=900) for _ in range(10)])]
        ((full,),) = rows(path, "PRAGMA page_count")
        for start in range(0, len(faces), 10):
            outbox.apply_receipts([receipt(face) for face in faces[start : start + 10]])
            outbox.maintain()
        ((empty,),) = rows(path, "PRAGMA page_count")
        assert empty < full / 10
        assert outbox.append([new_face()])[0].id.sequence == 301
        assert outbox.payloads([301]).get(301)
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_refuses_a_file_of_another_user(outbox, path):
    path.chmod(0o400)
    with pytest.raises(OutboxError, match=r"set outbox\.path"):
        opened(path)


def fill(outbox):
    faces = []

    def add_for_ever():
        while True:
            faces.extend(outbox.append([new_face(size=900) for _ in range(10)]))

    with pytest.raises(OutboxUnavailableError, match="make room on its disk"):
        add_for_ever()
    return faces


@pytest.mark.root
@pytest.mark.parametrize("reserve", [True, False], ids=["with the reserve", "no byte is left"])
def test_a_full_disk_loses_nothing_and_accepts_faces_when_there_is_room(small_disk, monkeypatch, reserve):
    if not reserve:
        monkeypatch.setattr("face_app.edge.outbox.quota.RESERVE", 0)
    other = small_disk / "other"
    other.write_bytes(bytes(1 << 20))
    path = small_disk / "outbox.db"
    with opened(path) as outbox:
        faces = fill(outbox)
        assert len(faces) > 20
        assert outbox.run_counts().waiting == len(faces) == len(check(path))
        other.unlink()
        if reserve:
            outbox.apply_receipts([receipt(face) for face in faces[:100]])
        more = outbox.append([new_face()])
        assert more[0].id.sequence == len(faces) + 1


@pytest.mark.root
def test_an_outbox_on_a_full_disk_can_apply_receipts(small_disk):
    with opened(small_disk / "outbox.db") as outbox:
        faces = fill(outbox)
        for start in range(0, len(faces), 100):
            assert outbox.apply_receipts([receipt(face) for face in faces[start : start + 100]])
            outbox.maintain()
        assert outbox.run_counts().stored == len(faces)
        assert len(fill(outbox)) > len(faces) / 2


@pytest.mark.root
def test_without_the_reserve_receipts_cannot_be_applied(small_disk, monkeypatch):
    monkeypatch.setattr("face_app.edge.outbox.quota.RESERVE", 0)
    with opened(small_disk / "outbox.db") as outbox:
        faces = fill(outbox)
        with pytest.raises(OutboxUnavailableError, match="make room"):
            outbox.apply_receipts([receipt(face) for face in faces])
        assert outbox.run_counts().waiting == len(faces)


def test_prunes_stored_faces_and_the_ledger_says_since_when(path):
    with opened(path, ledger_days=1e-6) as outbox:
        faces = outbox.append([new_face() for _ in range(5)])
        outbox.apply_receipts([receipt(faces[0]), receipt(faces[1]), receipt(faces[2], "refused")])
        time.sleep(0.2)
        outbox.maintain()
        with export_ledger(outbox, "jetson") as ledger:
            states = [(entry.id.sequence, entry.state) for entry in ledger.entries]
        assert ledger.outboxes == {outbox.id: 5}
        assert states == [(3, "refused"), (4, "waiting"), (5, "waiting")]
        assert ledger.complete_since.timestamp() == pytest.approx(faces[1].captured_at, abs=1e-3)


def test_exports_the_whole_ledger(outbox, tmp_path):
    for _ in range(3):
        outbox.append([new_face() for _ in range(700)])
    with (tmp_path / "ledger").open("wb") as file, export_ledger(outbox, "jetson") as ledger:
        outbox.append([new_face()])
        write_ledger(ledger, file)
    with open_ledgers([str(tmp_path / "ledger")]) as (ledger,):
        assert ledger.complete_since is None
        entries = list(ledger.entries)
    assert [(entry.id, entry.sha256, entry.key) for entry in entries] == [
        (face.id, face.sha256, face.key) for face in outbox.run_faces()[:-1]
    ]


def test_retry_sets_refused_faces_to_waiting(outbox):
    faces = outbox.append([new_face(f"camera-{number}") for number in range(3)])
    outbox.apply_receipts(
        [receipt(faces[0], "refused", reason="too-large"), receipt(faces[1], "refused", reason="empty")]
    )
    assert outbox.retry("too-large") == 1
    assert outbox.oldest_pending(9) == [1, 3]
    assert outbox.payloads([1]).get(1)
    assert outbox.retry(None) == 1
    assert outbox.retry(None) == 0
    assert outbox.oldest_pending(9) == [1, 2, 3]


def fill_up(file):
    with file.open("wb", buffering=0) as other, suppress(OSError):
        while True:
            other.write(bytes(4096))


@pytest.mark.root
def test_the_ballast_opens_an_outbox_on_a_full_disk(small_disk):
    path = small_disk / "outbox.db"
    with opened(path) as outbox:
        faces = [face for _ in range(10) for face in outbox.append([new_face(size=900) for _ in range(3)])]
    fill_up(small_disk / "other")
    with opened(path) as outbox:
        assert outbox.backlog()[0] == 30
        assert len(outbox.apply_receipts([receipt(face) for face in faces])) == 30
    (small_disk / "other").unlink()
    with opened(path) as outbox:
        outbox.maintain()
        assert ballast_path(path).stat().st_size == BALLAST


@pytest.mark.root
def test_without_the_ballast_it_cannot_be_opened(small_disk):
    path = small_disk / "outbox.db"
    with opened(path) as outbox:
        outbox.append([new_face(size=900) for _ in range(3)])
    ballast_path(path).unlink()
    fill_up(small_disk / "other")
    with pytest.raises(OutboxUnavailableError, match="make room"):
        opened(path)
