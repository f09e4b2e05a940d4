"""A reader that stays open, and a clock that was wrong, neither fill the disk nor hide a fault."""

import sqlite3
import time
from contextlib import closing, suppress
from datetime import datetime, timezone

import pytest

from face_app.common.errors import OutboxUnavailableError
from face_app.common.settings import OutboxFile
from face_app.common.wire import Receipt
from face_app.edge.outbox import outbox as outbox_module
from face_app.edge.outbox.export import export_ledger, export_visits
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.schema import WAL_BYTES
from face_app.edge.outbox.wal import wal_bytes
from support.new_faces import new_face
from support.visits import visit


def opened(path, **settings):
    return Outbox(OutboxFile(path=path, **settings))


def fill_log(outbox, size=2 * WAL_BYTES):
    faces = []
    while wal_bytes(outbox.path) < size:
        faces += outbox.append([new_face(size=900) for _ in range(10)])
    return faces


def reader(path):
    """Open a read transaction, as another program does."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM faces").fetchall()
    return closing(connection)


def test_an_export_that_is_not_read_to_its_end_does_not_block_the_log(path):
    with opened(path) as outbox:
        outbox.append([new_face() for _ in range(2500)], [visit(number) for number in range(5)])
        visits = export_visits(outbox)
        next(visits)
        with export_ledger(outbox, "jetson") as ledger:
            entries = iter(ledger.entries)
            next(entries)
            for _ in range(60):
                outbox.append([new_face(size=900) for _ in range(10)])
                outbox.maintain()
            assert wal_bytes(path) <= WAL_BYTES
            assert 1 + sum(1 for _ in entries) == 2500
        assert 1 + sum(1 for _ in visits) == 5


def test_the_log_is_cut_when_a_reader_ends(path, caplog):
    with opened(path) as outbox:
        outbox.append([new_face()])
        with reader(path):
            fill_log(outbox)
            for _ in range(3):
                outbox.maintain()
            assert caplog.text.count("cannot be cut; stop other programs") == 1
            assert wal_bytes(path) > WAL_BYTES
        outbox.maintain()
        assert wal_bytes(path) == 0
        assert outbox.append([new_face()])


def test_a_log_that_a_reader_blocks_counts_in_the_quota(path):
    with opened(path, max_bytes=4 * WAL_BYTES) as outbox:
        outbox.append([new_face()])
        with reader(path):
            faces = fill_log(outbox)
            now = datetime.now(timezone.utc)
            outbox.apply_receipts([Receipt(face.id, face.sha256, face.key, now, "stored") for face in faces])
            assert outbox.fullness > 0.2
        outbox.maintain()
        assert outbox.fullness < 0.1


@pytest.mark.root
def test_a_start_with_a_full_disk_and_a_long_log_works(small_disk):
    path = small_disk / "outbox.db"
    with opened(path) as outbox, reader(path):
        faces = []

        def add_for_ever():
            while True:
                faces.extend(outbox.append([new_face(size=900) for _ in range(10)]))

        with pytest.raises(OutboxUnavailableError, match="make room on its disk"):
            add_for_ever()
        assert wal_bytes(path) > WAL_BYTES
        fill_disk(small_disk / "other")
        with opened(path) as second:
            assert second.backlog()[0] == len(faces)
            assert second.payloads([1]).get(1)
    (small_disk / "other").unlink()
    with opened(path) as outbox:
        outbox.maintain()
        assert outbox.append([new_face()])
        assert outbox.backlog()[0] == len(faces) + 1


def fill_disk(file):
    with file.open("wb", buffering=0) as other, suppress(OSError):
        while True:
            other.write(bytes(4096))


def test_a_clock_that_was_ahead_hides_no_waiting_face(path, monkeypatch):
    clock = [time.time() + 10**8]
    monkeypatch.setattr(outbox_module.time, "time", lambda: clock[0])
    with opened(path) as outbox:
        face, _ = outbox.append([new_face(), new_face()])
        outbox._connection.execute("UPDATE faces SET captured_at = ?", (clock[0],))
        outbox.apply_receipts([Receipt(face.id, face.sha256, face.key, datetime.now(timezone.utc), "stored")])
        clock[0] -= 10**8
    with opened(path) as outbox:
        assert outbox.stored_age is None
        start = outbox._empty_at
        outbox._empty_at = start - 1000
        waiting, oldest = outbox.backlog()
        assert waiting == 1
        assert 1000 <= oldest < 2000


def test_a_clock_that_goes_back_does_not_hide_receipts_of_this_run(path, monkeypatch):
    clock = [time.time()]
    monkeypatch.setattr(outbox_module.time, "time", lambda: clock[0])
    with opened(path) as outbox:
        (face,) = outbox.append([new_face()])
        outbox.apply_receipts([Receipt(face.id, face.sha256, face.key, datetime.now(timezone.utc), "stored")])
        clock[0] -= 10**8
        assert 0 <= outbox.stored_age < 1000
        assert outbox.backlog() == (0, 0.0)
