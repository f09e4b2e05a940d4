"""An outbox that goes back in time gives no number twice in silence; an ordinary end starts no new incarnation."""

import json
import os
import shutil
import signal
import sqlite3
import sys

import pytest

from face_app.common.settings import OutboxFile
from face_app.common.wire import FaceId
from face_app.edge.outbox import incarnation
from face_app.edge.outbox.access import damage_mark
from face_app.edge.outbox.export import export_ledger
from face_app.edge.outbox.incarnation import seen_path
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.wal import wal_path
from support.formats import new_format_1, new_format_2, new_format_3
from support.new_faces import new_face
from support.processes import process

KILLED = """
import os, signal, sys
from face_app.edge.outbox.outbox import Outbox
from face_app.common.settings import OutboxFile
from support.new_faces import new_face
outbox = Outbox(OutboxFile(path=sys.argv[1]))
for _ in range(int(sys.argv[2])):
    outbox.append([new_face()])
os.kill(os.getpid(), signal.SIGKILL)
"""


def opened(path):
    return Outbox(OutboxFile(path=path))


def add(path, count):
    with opened(path) as outbox:
        return [face for _ in range(count) for face in outbox.append([new_face()])]


def add_and_be_killed(path, count, log):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with process([sys.executable, "-c", KILLED, path, str(count)], log, env=environment) as running:
        assert running.wait(90) == -signal.SIGKILL


def copy(path, folder, names=("", "-wal")):
    """Copy the named files of an outbox; a missing one in the copy deletes its target at the restoration."""
    folder.mkdir()
    for name in names:
        source = path.with_name(path.name + name)
        if source.exists():
            shutil.copy2(source, folder / source.name)


def restore(path, folder):
    for name in ("", "-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    for file in folder.iterdir():
        shutil.copy2(file, path.with_name(file.name))


def header(path):
    with opened(path) as outbox, export_ledger(outbox, "jetson") as ledger:
        return ledger


def test_a_reopened_outbox_continues_its_numbers(path):
    first = add(path, 3)
    second = add(path, 2)
    assert [face.id for face in first + second] == [FaceId(first[0].id.outbox, number) for number in range(1, 6)]
    openings = header(path).openings[first[0].id.outbox]
    assert [start for _, start in openings] == [1, 4]
    assert len({token for token, _ in openings}) == 2


def test_a_run_without_a_face_leaves_no_opening(path):
    add(path, 1)
    for _ in range(5):
        with opened(path) as outbox:
            outbox.append([])
    ((_, openings),) = header(path).openings.items()
    assert len(openings) == 1


@pytest.mark.parametrize("killed", [False, True])
def test_a_restored_copy_gets_a_new_id_and_gives_no_number_twice(path, tmp_path, killed, caplog):
    """With a killed program, the copy and the file have a write-ahead log."""
    if killed:
        add_and_be_killed(path, 5, tmp_path / "log")
        copy(path, tmp_path / "copy")
        add_and_be_killed(path, 4, tmp_path / "log")
    else:
        add(path, 5)
        copy(path, tmp_path / "copy")
        add(path, 4)
    restore(path, tmp_path / "copy")
    with opened(path) as outbox:
        assert "is an older copy of itself" in caplog.text
        assert outbox.backlog()[0] == 5
        (new,) = outbox.append([new_face()])
        with export_ledger(outbox, "jetson") as ledger:
            entries = list(ledger.entries)
    old = entries[0].id.outbox
    assert new.id == FaceId(outbox.id, 1) != FaceId(old, 1)
    assert ledger.outboxes == {old: 9, outbox.id: 1}
    assert [start for _, start in ledger.openings[old]] == [1, 6]
    assert [entry.id for entry in entries] == [*(FaceId(old, number) for number in range(1, 6)), new.id]
    caplog.clear()
    with opened(path) as again:
        assert again.id == outbox.id
    assert not caplog.text


def test_a_copy_of_the_same_length_with_other_faces_gets_a_new_id(path, tmp_path):
    add(path, 5)
    copy(path, tmp_path / "copy")
    add(path, 4)
    seen = seen_path(path).read_bytes()
    restore(path, tmp_path / "copy")
    seen_path(path).unlink()
    old = add(path, 4)[0].id.outbox
    seen_path(path).write_bytes(seen)
    assert header(path).outboxes.keys() > {old}


def test_a_copy_from_before_a_new_incarnation_gets_a_new_id(path, tmp_path):
    add(path, 5)
    copy(path, tmp_path / "copy")
    add(path, 1)
    for _ in range(2):
        restore(path, tmp_path / "copy")
        add(path, 1)
    outboxes = header(path).outboxes
    assert len(outboxes) == 3
    assert sorted(outboxes.values()) == [1, 1, 5]


def test_a_whole_folder_from_a_copy_continues_with_a_new_opening(path, tmp_path):
    add(path, 5)
    copy(path, tmp_path / "copy", ("", "-wal", ".seen"))
    add(path, 4)
    ((_, before),) = header(path).openings.items()
    restore(path, tmp_path / "copy")
    add(path, 1)
    ((_, after),) = header(path).openings.items()
    assert before[0] == after[0]
    assert before[1] != after[1]
    assert before[1][1] == after[1][1] == 6


def test_an_old_write_ahead_log_beside_a_newer_file_loses_no_face(path, tmp_path):
    add_and_be_killed(path, 5, tmp_path / "log")
    copy(path, tmp_path / "copy", ("-wal",))
    for _ in range(20):
        add(path, 5)
    last = incarnation.read(path)
    assert last.sequence == 105
    restore_log = tmp_path / "copy" / wal_path(path).name
    shutil.copy2(restore_log, wal_path(path))
    with opened(path) as outbox:
        assert outbox.id != last.id
        with export_ledger(outbox, "jetson") as ledger:
            found = {entry.id.sequence for entry in ledger.entries if entry.state == "waiting"}
    assert ledger.outboxes[last.id] == 105
    assert found == set(range(1, 106))


@pytest.mark.parametrize("count", [1, 7])
def test_a_killed_program_starts_no_new_incarnation(path, tmp_path, count):
    add_and_be_killed(path, count, tmp_path / "log")
    old = incarnation.read(path).id
    add_and_be_killed(path, count, tmp_path / "log")
    with opened(path) as outbox:
        assert outbox.id == old
        assert outbox.backlog()[0] == 2 * count


@pytest.mark.parametrize("record", [None, b"", b"{", b"\0" * 4096, b"[" * 4096, b'{"id": 5}', b"older"])
def test_a_power_cut_that_loses_the_record_starts_no_new_incarnation(path, record):
    """The file is synchronised at each commit, the record is not."""
    older = add(path, 2)[0].id.outbox
    old_record = seen_path(path).read_bytes()
    add(path, 2)
    if record is None:
        seen_path(path).unlink()
    else:
        seen_path(path).write_bytes(old_record if record == b"older" else record)
    assert header(path).outboxes == {older: 4}
    assert json.loads(seen_path(path).read_bytes())["id"] == older


def test_an_incomplete_last_commit_starts_no_new_incarnation(path, tmp_path):
    """The power fails during a commit: parts of it are on the disk, in any order."""
    add_and_be_killed(path, 3, tmp_path / "log")
    old = incarnation.read(path).id
    before = wal_path(path).read_bytes()
    record = seen_path(path).read_bytes()
    shutil.copy2(path, tmp_path / "file")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE faces SET reason = reason || 'x'")
    after = wal_path(path).read_bytes()
    connection.close()
    assert len(after) > len(before)
    shutil.copy2(tmp_path / "file", path)
    torn = bytearray(after)
    torn[len(before) : len(before) + 200] = bytes(200)
    wal_path(path).write_bytes(torn)
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    seen_path(path).write_bytes(record)
    assert header(path).outboxes == {old: 3}


def test_a_cloned_card_starts_no_new_incarnation(path, tmp_path):
    old = add(path, 3)[0].id.outbox
    clone = tmp_path / "clone"
    shutil.copytree(path.parent, clone, ignore=shutil.ignore_patterns("clone"))
    assert header(clone / path.name).outboxes == header(path).outboxes == {old: 3}


def test_a_deleted_outbox_starts_with_a_new_id(path, caplog):
    old = add(path, 3)[0].id.outbox
    path.unlink()
    assert add(path, 2)[0].id.outbox != old
    assert add(path, 1)[0].id.sequence == 3
    assert not caplog.text


def test_the_mark_names_the_last_number_and_its_opening(path):
    with opened(path) as outbox:
        assert outbox.mark() is None
        outbox.append([new_face(), new_face()])
        mark = outbox.mark()
        assert (mark.id, mark.sequence, mark.first) == (outbox.id, 2, 1)
    with opened(path) as outbox:
        assert outbox.mark() == mark
        outbox.append([new_face()])
        assert (outbox.mark().sequence, outbox.mark().first) == (3, 3)
        assert outbox.mark().opening != mark.opening


@pytest.mark.parametrize("new_format", [new_format_1, new_format_2, new_format_3])
def test_two_copies_of_an_earlier_format_get_the_same_first_opening(tmp_path, new_format):
    marks = []
    for name in ("one.db", "two.db"):
        connection = new_format(tmp_path / name, "0badcafe", 7)
        connection.commit()
        connection.close()
        with opened(tmp_path / name) as outbox:
            marks.append(outbox.mark())
    assert marks[0] == marks[1]
    assert (marks[0].sequence, marks[0].first) == (7, 1)


def test_a_recovered_outbox_knows_the_numbers_of_the_damaged_one(path):
    old = add(path, 4)[0].id.outbox
    ((_, openings),) = header(path).openings.items()
    damage_mark(path).touch()
    ledger = header(path)
    assert ledger.outboxes[old] == 4
    assert ledger.openings[old] == openings


def test_a_replaced_file_is_not_numbered_with_the_old_id(path, tmp_path):
    with opened(path) as outbox:
        outbox.append([new_face()])
        outbox._connection.execute("UPDATE outbox SET id = '0badcafe'")
        with pytest.raises(Exception, match="was replaced while it was open"):
            outbox.append([new_face()])
