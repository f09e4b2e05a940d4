"""A recovery that a full disk, a kill or a foreign file interrupts loses no face, and the next start completes it."""

import hashlib
import itertools
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from face_app.common.errors import OutboxError, OutboxUnavailableError
from face_app.common.settings import OutboxFile
from face_app.edge.outbox.access import damage_mark
from face_app.edge.outbox.disk import ballast_path, free_disk_bytes
from face_app.edge.outbox.incarnation import seen_path
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.wal import wal_path
from support.new_faces import new_face

NOT_ROOT = 65534
STEPS = {"execute", "executemany", "open", "pwrite", "fsync", "rename", "unlink", "utime", "close"}
MEGABYTE = 1024 * 1024


def opened(path):
    return Outbox(OutboxFile(path=path))


def write(path, count, *, size=40):
    with opened(path) as outbox:
        return {face.sha256 for _ in range(count // 10) for face in outbox.append([new_face(size=size)] * 10)}


def sendable(path):
    with opened(path) as outbox:
        payloads = [outbox.payloads([row]).get(row) for row in outbox.oldest_pending(10_000)]
        outbox.append([new_face()])
    return {hashlib.sha256(payload[1]).hexdigest() for payload in payloads if payload}


def damaged_files(path):
    return [file for file in path.parent.glob("outbox.db.damaged-*Z") if file.is_file()]


def in_a_process(task):
    """Run a task in a process of its own; return its result as the exit code, negative for a signal."""
    child = os.fork()
    if not child:
        code = 1
        try:
            code = task()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.root
@pytest.mark.parametrize("left", [0, 1, 2, 3])
def test_a_full_disk_costs_no_face(small_disk, left):
    """The disk can be full while rows are copied, while they are merged into the file, and at the first start."""
    path = small_disk / "outbox.db"
    faces = write(path, 150, size=400)
    damage_mark(path).touch()
    ballast_path(path).unlink()
    (small_disk / "other").write_bytes(bytes(free_disk_bytes(path) - int(left * MEGABYTE)))
    with suppress(OutboxUnavailableError):
        assert sendable(path) >= faces
    assert not list(small_disk.glob("*.part*")), "an interrupted copy releases its room"
    (small_disk / "other").unlink()
    assert sendable(path) >= faces
    assert len(damaged_files(path)) == 1


def write_damaged(path, at=52):
    """Write faces as a killed program leaves them, and damage the log; return the hashes.

    By default the checksum of the first frame is wrong: SQLite reads no frame, and each is whole.
    """
    faces = write(path, 10)
    read, write_end = os.pipe()

    def add_and_die():
        new = opened(path).append([new_face() for _ in range(10)])
        os.write(write_end, "".join(face.sha256 for face in new).encode())
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_a_process(add_and_die) == -signal.SIGKILL
    added = os.read(read, 64 * 1024).decode()
    os.close(read)
    os.close(write_end)
    log = bytearray(wal_path(path).read_bytes())
    log[at] ^= 1
    wal_path(path).write_bytes(log)
    return faces | {added[start : start + 64] for start in range(0, len(added), 64)}


def rewrite(path, page_size):
    """Rewrite an outbox as another program may: with pages of another size."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode = DELETE", f"PRAGMA page_size = {page_size}", "VACUUM"):
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("page_size", [512, 1024, 8192, 65536])
def test_pages_of_any_size_are_recovered(path, page_size):
    faces = write(path, 50)
    rewrite(path, page_size)
    with opened(path) as outbox:
        assert outbox.backlog()[0] == 50
    path.write_bytes(bytes(100) + path.read_bytes()[100:])
    assert sendable(path) >= faces


@pytest.mark.parametrize("page_size", [1024, 65536])
@pytest.mark.parametrize("header", [False, True], ids=["frame", "header"])
def test_a_damaged_log_with_pages_of_any_size_is_recovered(path, page_size, header):
    faces = write(path, 50)
    rewrite(path, page_size)
    faces |= write_damaged(path, at=3 if header else 52)
    assert sendable(path) >= faces


def test_an_older_log_beside_a_damaged_record_hides_no_face(path):
    log, newer = wal_path(path), path.with_name("newer")
    with opened(path) as outbox:
        faces = {face.sha256 for face in outbox.append([new_face() for _ in range(10)])}
        older = log.read_bytes()
        faces |= {face.sha256 for face in outbox.append([new_face() for _ in range(10)])}
        outbox._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        shutil.copy(path, newer)
    newer.replace(path)
    log.write_bytes(older)
    seen_path(path).write_bytes(b"{")
    assert sendable(path) >= faces


def start_until(path, kill_at):
    """Start, and die before the n-th step; return the number of steps: calls that may change a file."""
    steps = itertools.count(1)

    def count(frame, event, function):
        if event == "c_call" and function.__name__ in STEPS and next(steps) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    with opened(path):
        sys.setprofile(None)
    return next(steps)


def check_killed_recoveries(folder, steps):
    damaged, whole = folder / "damaged", folder / "whole"
    damaged.mkdir()
    faces = write_damaged(damaged / "outbox.db")
    shutil.copytree(damaged, whole)
    for step in steps(start_until(whole / "outbox.db", sys.maxsize)):
        path = folder / str(step) / "outbox.db"
        shutil.copytree(damaged, path.parent)
        assert in_a_process(partial(start_until, path, step)) == -signal.SIGKILL
        assert sendable(path) >= faces
        found = damaged_files(path)
        assert len(found) in {1, 2}, "a kill after the last rename repeats the recovery"
        assert sendable(path) >= faces
        assert damaged_files(path) == found, "the second start is clean"
        assert not list(path.parent.glob("*.rescued*"))


def test_a_recovery_that_is_killed_starts_again(tmp_path):
    """The copy is half done, complete, or has one of its new names."""
    check_killed_recoveries(tmp_path, lambda last: [last // 2, *range(last - 48, last - 38, 3)])


@pytest.mark.full
def test_a_recovery_that_is_killed_at_any_step_starts_again(tmp_path):
    check_killed_recoveries(tmp_path, lambda last: range(1, last - 1, 9))


@pytest.mark.parametrize("name", ["", "-wal", ".lock", ".rescued", ".rescued.part"])
@pytest.mark.parametrize("create", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_ends_the_start_and_costs_no_face(path, name, create):
    faces = write(path, 10)
    damage_mark(path).touch()
    foreign, backup = path.with_name(f"{path.name}{name}"), path.with_name("backup")
    if foreign.exists():
        foreign.rename(backup)
    create(foreign)
    for _ in range(2):
        with suppress(OutboxError):
            assert sendable(path) >= faces
    if foreign.is_dir():
        foreign.rmdir()
    elif foreign.is_fifo():
        foreign.unlink()
    if backup.exists() and not path.exists():
        backup.rename(path)
    assert sendable(path) >= faces
    assert len(damaged_files(path)) == 1


def test_a_folder_in_place_of_the_outbox_is_named(path):
    path.mkdir()
    with pytest.raises(OutboxError, match=r"outbox\.db is no file; set outbox\.path"):
        opened(path)


def test_a_folder_in_place_of_a_companion_is_named(path):
    write(path, 10)
    lock = path.with_name("outbox.db.lock")
    lock.unlink()
    lock.mkdir()
    with pytest.raises(OutboxError, match=r"outbox\.db\.lock: Is a directory"):
        opened(path)


@pytest.mark.parametrize("name", [".seen", ".damaged", ".ballast"])
def test_a_pipe_in_place_of_a_note_stops_nothing(path, name):
    faces = write(path, 10)
    path.with_name(f"{path.name}{name}").unlink(missing_ok=True)
    os.mkfifo(path.with_name(f"{path.name}{name}"))
    assert sendable(path) >= faces
    assert sendable(path) >= faces


@pytest.fixture
def shared_folder():
    """Provide a folder of another user; those of pytest are closed to it."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, NOT_ROOT, NOT_ROOT)
        yield Path(folder)


def give(path, owner, mode):
    os.chown(path, owner, owner)
    path.chmod(mode)


@pytest.mark.root
@pytest.mark.parametrize("owner", [0, NOT_ROOT])
@pytest.mark.parametrize("name", ["", "-wal", "-shm", ".seen", ".damaged", ".lock"])
def test_wrong_permissions_cost_no_face(shared_folder, name, owner):
    path = shared_folder / "outbox.db"
    faces = write_damaged(path)
    for file in shared_folder.iterdir():
        give(file, NOT_ROOT, 0o600)
    part = path.with_name(f"{path.name}{name}")
    part.touch()
    give(part, owner, 0o400)

    def start():
        os.setgroups([])
        os.setgid(NOT_ROOT)
        os.setuid(NOT_ROOT)
        with suppress(OutboxError):
            return 0 if sendable(path) >= faces else 1
        return 2

    assert in_a_process(start) in {0, 2}
    for file in shared_folder.iterdir():
        give(file, NOT_ROOT, 0o600)
    assert in_a_process(start) == 0
