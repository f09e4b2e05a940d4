"""Checks that recovery copies every readable face of a damaged outbox, and nothing else."""

import fcntl
import hashlib
import random
import sqlite3
from datetime import datetime, timezone
from pathlib import Path

import pytest

from face_app.common.errors import OutboxDamagedError, OutboxUnavailableError
from face_app.common.settings import OutboxFile
from face_app.common.wire import FaceId, Receipt
from face_app.edge.outbox.access import damage_mark
from face_app.edge.outbox.export import export_ledger, export_visits
from face_app.edge.outbox.outbox import Outbox
from support.formats import insert_visit_3, new_format_1, new_format_2, new_format_3
from support.new_faces import new_face
from support.visits import visit

PAGE = 4096


def opened(path):
    return Outbox(OutboxFile(path=path))


@pytest.fixture
def faces(path):
    """200 committed faces in the file itself; the first 20 are stored."""
    with opened(path) as outbox:
        committed = [face for _ in range(20) for face in outbox.append([new_face(size=120) for _ in range(10)])]
        now = datetime.now(timezone.utc)
        outbox.apply_receipts([Receipt(face.id, face.sha256, face.key, now, "stored") for face in committed[:20]])
    return committed


def overwrite(path, pages):
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * PAGE)
            file.write(b"\x5a" * PAGE)


def states(path):
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT id, sha256, state, reason FROM faces").fetchall()
    connection.close()
    return {face_id: (sha256, state, reason) for face_id, sha256, state, reason in rows}


def damaged_files(path):
    return sorted(path.parent.glob("outbox.db.damaged-*Z"))


@pytest.mark.parametrize("seed", range(5))
def test_recovers_the_faces_on_intact_pages(path, faces, seed):
    chance = random.Random(seed)
    pages = path.stat().st_size // PAGE
    spoilt = chance.sample(range(12, pages), 6)
    overwrite(path, spoilt)
    before = path.read_bytes()
    damage_mark(path).touch()
    with opened(path) as outbox:
        assert outbox.id != faces[0].id.outbox
        recovered = states(path)
        waiting = {face_id: sha256 for face_id, (sha256, state, _) in recovered.items() if state == "waiting"}
        # One page contains some 11 rows of the ledger, or the pixels of one face.
        assert len(waiting) >= 180 - 6 * 2
        committed = {str(face.id): face.sha256 for face in faces}
        assert waiting.items() <= committed.items()
        assert {reason for _, state, reason in recovered.values() if state == "expired"} <= {"damaged"}
        for row in outbox.oldest_pending(1000):
            _, pixels = outbox.payloads([row])[row]
            assert hashlib.sha256(pixels).hexdigest() in committed.values()
        now = datetime.now(timezone.utc)
        sent = [face for face in faces if str(face.id) in waiting]
        outbox.apply_receipts([Receipt(face.id, face.sha256, face.key, now, "stored") for face in sent])
        assert outbox.backlog()[0] == 0
        assert outbox.append([new_face()])[0].id.sequence == 1
        with export_ledger(outbox, "jetson") as ledger:
            assert ledger.outboxes == {faces[0].id.outbox: 200, outbox.id: 1}
    (aside,) = damaged_files(path)
    assert aside.read_bytes() == before
    assert not damage_mark(path).exists()


def test_recovers_visits(path, faces):
    with opened(path) as outbox:
        outbox.append([], came := [visit(number, ago=100 - number) for number in range(50)])
    damage_mark(path).touch()
    with opened(path) as outbox:
        assert list(export_visits(outbox)) == came


def test_recovers_the_visits_of_format_3(path):
    connection = new_format_3(path, "0badcafe", 0)
    insert_visit_3(connection, visit())
    connection.commit()
    connection.close()
    damage_mark(path).touch()
    with opened(path) as outbox:
        assert list(export_visits(outbox)) == [visit()]


@pytest.mark.parametrize("new_format", [new_format_1, new_format_2, new_format_3])
def test_recovers_a_damaged_file_of_an_earlier_format(path, new_format):
    connection = new_format(path, "0badcafe", 3)
    files = [bytes([number]) * 3000 for number in range(3)]
    for number, file in enumerate(files, 1):
        row = (number, str(FaceId("0badcafe", number)), "run", "face_app/jetson/door", f"key-{number}")
        digest = hashlib.sha256(file).hexdigest()
        connection.execute(
            "INSERT INTO faces VALUES (?, ?, ?, ?, ?, ?, 'waiting', '', 1000.0, NULL, 0.5)", (*row, digest)
        )
        connection.execute("INSERT INTO pixels VALUES (?, ?)", (number, file))
    connection.commit()
    connection.close()
    damage_mark(path).touch()
    with opened(path) as outbox:
        assert [outbox.payloads([row])[row][1] for row in outbox.oldest_pending(9)] == files
        assert list(export_visits(outbox)) == []
        outbox.append([new_face()], [visit()])
        assert len(list(export_visits(outbox))) == 1


def test_a_damaged_ledger_page_costs_no_face_with_intact_pixels(path, faces):
    connection = sqlite3.connect(path)
    try:
        ledger = {page for (page,) in connection.execute("SELECT pageno FROM dbstat WHERE name = 'faces'")}
    except sqlite3.OperationalError:
        pytest.skip("this SQLite has no dbstat table")
    finally:
        connection.close()
    overwrite(path, [max(ledger)])
    damage_mark(path).touch()
    with opened(path):
        recovered = states(path)
    assert {str(face.id): face.sha256 for face in faces[20:]} == {
        face_id: sha256 for face_id, (sha256, state, _) in recovered.items() if state == "waiting"
    }


def test_the_next_start_recovers_damage_that_was_found_later(path, faces, monkeypatch):
    monkeypatch.setattr("face_app.edge.outbox.access.CHECK_BYTES", 0)
    overwrite(path, range(40, 60))

    def use():
        with opened(path) as outbox:
            for row in range(1, 201):
                outbox.payloads([row])

    with pytest.raises(OutboxDamagedError, match="the next start sets it aside"):
        use()
    assert damage_mark(path).exists()
    with opened(path) as outbox:
        assert outbox.append([new_face()])
    assert len(damaged_files(path)) == 1


def test_a_file_without_a_header_is_moved_aside(path, faces):
    path.write_bytes(b"\x5a" * 100 + path.read_bytes()[100:])
    before = path.read_bytes()
    with opened(path) as outbox:
        assert outbox.append([new_face()])[0].id.sequence == 1
    assert damaged_files(path)[0].read_bytes() == before


def test_recovers_a_file_whose_schema_has_a_name_that_is_no_text(path, faces):
    data = path.read_bytes()
    assert b"tablevisitsvisits" in data
    path.write_bytes(data.replace(b"tablevisitsvisits", b"tablevis\xa1tsvisits"))
    with opened(path) as outbox:
        assert len(outbox.oldest_pending(1000)) == len(faces[20:])


def test_does_not_recover_while_another_process_has_the_file_open(path, faces, monkeypatch):
    monkeypatch.setattr("face_app.edge.outbox.access.RECOVERY_WAIT", 0.1)
    with opened(path):
        damage_mark(path).touch()
        with pytest.raises(OutboxUnavailableError, match="stop every face-app that uses it"):
            opened(path)
        assert not damaged_files(path)
    with opened(path):
        assert len(damaged_files(path)) == 1


@pytest.mark.parametrize("step", range(4))
def test_continues_an_interrupted_recovery(path, faces, step, monkeypatch):
    """The power fails before the n-th rename."""
    overwrite(path, [20])
    damage_mark(path).touch()
    path.with_name("outbox.db-wal").write_bytes(b"")
    rename, done = Path.rename, []

    def rename_until_the_power_fails(self, target):
        if len(done) == step:
            raise KeyboardInterrupt
        done.append(target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_until_the_power_fails)
    with pytest.raises(KeyboardInterrupt):
        opened(path)
    monkeypatch.setattr(Path, "rename", rename)
    with opened(path) as outbox:
        assert outbox.backlog()[0] >= 178
        assert len(states(path)) >= 198


def test_releases_the_lock_on_close(path):
    with opened(path):
        pass
    with path.with_name("outbox.db.lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def moved(path, statement):
    """Change the file without its program, then mark it as damaged."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()
    damage_mark(path).touch()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE faces SET row = -9000000000000000000 WHERE row = 100",
        "UPDATE faces SET row = 9223372036854775807 WHERE row = 100",
        "UPDATE pixels SET row = 9223372036854775807 WHERE row = 100",
        "UPDATE faces SET row = row + 10000000 WHERE row > 20",
    ],
    ids=["an old row", "a damaged row number", "a damaged number of pixels", "rows after a long history"],
)
def test_no_row_number_hides_other_faces(path, faces, statement):
    moved(path, statement)
    with opened(path) as outbox:
        assert outbox.backlog()[0] == 180
        hashes = {hashlib.sha256(outbox.payloads([row])[row][1]).hexdigest() for row in outbox.oldest_pending(1000)}
        assert hashes == {face.sha256 for face in faces[20:]}
        (new,) = outbox.append([new_face()])
        assert outbox.newest_pending(1) == [outbox.oldest_pending(1000)[-1]]
        assert new.id.sequence == 1


def test_recovers_the_faces_of_the_write_ahead_log(path, faces):
    with opened(path) as outbox:
        new = [face for _ in range(5) for face in outbox.append([new_face(size=120) for _ in range(4)])]
        copies = [path.read_bytes(), path.with_name("outbox.db-wal").read_bytes()]
    path.write_bytes(copies[0])
    log = bytearray(copies[1])
    log[32 + 3 * (PAGE + 24) + 500] ^= 1  # SQLite reads no frame after this one
    path.with_name("outbox.db-wal").write_bytes(log)
    with opened(path):
        recovered = states(path)
    assert {str(face.id) for face in new} <= recovered.keys()
    assert {recovered[str(face.id)][1] for face in new} == {"waiting"}


def test_carries_the_whole_record_over(path):
    with Outbox(OutboxFile(path=path, ledger_days=1e-6)) as outbox:
        faces = outbox.append([new_face() for _ in range(6)], [visit(1)])
        now = datetime.now(timezone.utc)
        outbox.apply_receipts([Receipt(face.id, face.sha256, face.key, now, "stored") for face in faces[:2]])
        outbox._connection.execute("DELETE FROM pixels WHERE row = 3")
        assert outbox.payloads([3]).get(3) is None
        outbox._connection.execute("UPDATE faces SET settled_at = 5 WHERE settled_at IS NOT NULL")
        outbox.maintain()
        with export_ledger(outbox, "jetson") as before:
            entries = list(before.entries)
        assert before.pruned == {outbox.id: [(3, 3, "damaged")]}
        assert len(entries) == 3
    damage_mark(path).touch()
    with opened(path) as outbox, export_ledger(outbox, "jetson") as after:
        assert list(after.entries) == entries
        assert after.pruned == before.pruned
        assert after.openings == before.openings
        assert after.complete_since == before.complete_since is not None
        assert after.outboxes == {**before.outboxes, outbox.id: 0}


def test_a_ledger_with_lost_rows_is_complete_from_its_latest_face(path, faces):
    """Otherwise the audit would expect rows for objects whose rows are lost."""
    with opened(path) as outbox, export_ledger(outbox, "jetson") as ledger:
        assert ledger.complete_since is None
    moved(path, "DELETE FROM faces WHERE row = 5")
    with opened(path) as outbox, export_ledger(outbox, "jetson") as ledger:
        assert ledger.complete_since.timestamp() >= max(face.captured_at for face in faces)
