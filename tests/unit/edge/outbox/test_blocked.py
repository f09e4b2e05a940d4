"""A program that reads the outbox for ever neither fills the disk, nor takes the room for receipts."""

import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timezone

import pytest

from face_app.common.errors import OutboxFullError, OutboxUnavailableError
from face_app.common.settings import OutboxFile
from face_app.common.wire import Receipt
from face_app.edge.outbox.blocked import merge_bytes
from face_app.edge.outbox.disk import ballast_bytes, free_disk_bytes
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.schema import WAL_BYTES
from face_app.edge.outbox.wal import wal_bytes
from support.new_faces import new_face

READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("BEGIN")
connection.execute("SELECT count(*) FROM faces").fetchall()
print("reads", flush=True)
sys.stdin.read()
"""
CAUSE = r"cannot be cut; stop other programs that read the outbox"


def opened(path, rule="stop", max_bytes=1_000_000_000):
    return Outbox(OutboxFile(path=path, max_bytes=max_bytes, when_full=rule))


@contextmanager
def reader(path):
    """Read the outbox in another process; yield its id."""
    command = [sys.executable, "-c", READER, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        program.stdout.readline()
        yield program.pid
        program.stdin.close()


def stored(face):
    return Receipt(face.id, face.sha256, face.key, datetime.now(timezone.utc), "stored")


def settle_for_ever(outbox):
    """Add faces and apply their receipts, so that the file always has free pages; return the last, waiting faces."""
    while True:
        faces = outbox.append([new_face(size=300) for _ in range(5)])
        for face in faces:
            outbox.apply_receipts([stored(face)])
        outbox.maintain()


def fill_disk(file):
    with file.open("wb", buffering=0) as other, suppress(OSError):
        while True:
            other.write(bytes(4096))


def merge_has_room(outbox):
    return free_disk_bytes(outbox.path) + ballast_bytes(outbox.path) >= merge_bytes(outbox._connection, outbox.path)


@pytest.mark.root
@pytest.mark.parametrize("rule", ["stop", "drop-oldest", "drop-lowest-score"])
def test_faces_are_refused_before_the_log_of_a_reader_fills_the_disk(small_disk, rule):
    path = small_disk / "outbox.db"
    with opened(path, rule) as outbox:
        faces = outbox.append([new_face(size=300) for _ in range(50)])
        with reader(path) as number:
            with pytest.raises(OutboxUnavailableError, match=CAUSE) as caught:
                settle_for_ever(outbox)
            assert f"(process {number})" in str(caught.value)
            assert wal_bytes(path) > WAL_BYTES
            for face in faces:
                assert outbox.apply_receipts([stored(face)])
            outbox.maintain()
            assert merge_has_room(outbox)
        assert outbox.append([new_face()]), "the reader ended"
        outbox.maintain()
        assert wal_bytes(path) < WAL_BYTES
        assert outbox.run_counts().expired == 0


@pytest.mark.root
def test_receipts_leave_room_for_the_merge_and_are_applied_when_the_reader_ends(small_disk):
    path = small_disk / "outbox.db"
    with opened(path) as outbox:
        faces = [face for _ in range(15) for face in outbox.append([new_face() for _ in range(100)])]
        fill = free_disk_bytes(path) - 12 * 1024 * 1024
        with (small_disk / "other").open("wb") as other:
            other.write(bytes(fill))
        settled = []
        with reader(path):

            def settle():
                for face in faces:
                    outbox.apply_receipts([stored(face)])
                    settled.append(face)

            with pytest.raises(OutboxUnavailableError, match=CAUSE):
                settle()
            outbox.maintain()
            assert merge_has_room(outbox)
            assert ballast_bytes(path), "the merge may need it"
        for face in faces[len(settled) :]:
            assert outbox.apply_receipts([stored(face)])
        assert outbox.run_counts().stored == len(faces)


@pytest.mark.root
def test_a_start_merges_a_long_log_although_another_program_filled_the_disk(small_disk):
    path = small_disk / "outbox.db"
    with opened(path) as outbox:
        faces = outbox.append([new_face()])
        with reader(path):
            while wal_bytes(path) <= WAL_BYTES:
                faces += outbox.append([new_face(size=300) for _ in range(10)])
                outbox.apply_receipts([stored(face) for face in faces[1:]])
                del faces[1:]
            faces += outbox.append([new_face(size=900) for _ in range(10)])
            assert 0 < merge_bytes(outbox._connection, path) <= ballast_bytes(path)
            fill_disk(small_disk / "other")
            with suppress(OutboxUnavailableError):
                outbox.apply_receipts([stored(faces[0])])
            assert ballast_bytes(path), "a log that cannot be cut would use it up"
    with opened(path) as outbox:
        assert wal_bytes(path) < WAL_BYTES
        assert len(outbox.apply_receipts([stored(face) for face in faces[1:]])) == len(faces) - 1


@pytest.mark.parametrize("rule", ["stop", "drop-oldest", "drop-lowest-score"])
def test_the_quota_bounds_the_log_of_a_reader(path, rule):
    with opened(path, rule, max_bytes=WAL_BYTES) as outbox:
        outbox.append([new_face()])
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM faces").fetchall()
            with pytest.raises(OutboxFullError, match=CAUSE):
                settle_for_ever(outbox)
        assert outbox.append([new_face()])
