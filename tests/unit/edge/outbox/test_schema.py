"""Checks that earlier formats are migrated with every face, and that later ones are refused."""

import hashlib
import secrets
import sqlite3
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from face_app.common.errors import OutboxError
from face_app.common.settings import OutboxFile
from face_app.common.wire import FaceId, Receipt
from face_app.edge.outbox.export import export_visits
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.schema import FORMAT
from support.formats import insert_visit_3, new_format_1, new_format_2, new_format_3
from support.new_faces import new_face
from support.visits import visit

OLD = "0badcafe"


def make(new_format, path, count):
    """Create a file of that release: of ten faces one is stored and one refused."""
    connection = new_format(path, OLD, count)
    files = {}
    for number in range(1, count + 1):
        files[number] = secrets.token_bytes(3000)
        state = {1: "stored", 2: "refused"}.get(number % 10, "waiting")
        connection.execute(
            "INSERT INTO faces VALUES (?, ?, 'run', 'face_app/jetson/door', ?, ?, ?, ?, ?, ?, 0.5)",
            (
                *(number, str(FaceId(OLD, number)), f"key-{number}", hashlib.sha256(files[number]).hexdigest(), state),
                *("too-large" if state == "refused" else "", 1000.0 + number, 2000.0 if state == "stored" else None),
            ),
        )
        if state != "stored":
            connection.execute("INSERT INTO pixels VALUES (?, ?)", (number, files[number]))
    connection.commit()
    connection.close()
    return files


@pytest.mark.parametrize("new_format", [new_format_1, new_format_2, new_format_3])
def test_migrates_an_earlier_format_with_every_face(tmp_path, new_format):
    path = tmp_path / "outbox.db"
    files = make(new_format, path, 10_000)
    with Outbox(OutboxFile(path=path, ledger_days=1e5)) as outbox:
        assert outbox.id == OLD
        assert outbox.backlog()[0] == 8000
        assert outbox.refused() == {"too-large": 1000}
        assert outbox.oldest_pending(2) == [3, 4]
        assert outbox.newest_pending(2) == [10_000, 9999]
        for row in (3, 5000, 9999):
            assert outbox.payloads([row])[row] == ("face_app/jetson/door", files[row])
        assert list(export_visits(outbox)) == []
        (new,) = outbox.append([new_face()], [visit(1)])
        assert new.id == FaceId(OLD, 10_001)
        assert list(export_visits(outbox)) == [visit(1)]
        stored = Receipt(
            FaceId(OLD, 3), hashlib.sha256(files[3]).hexdigest(), "key-3", datetime.now(timezone.utc), "stored"
        )
        assert [row for row, _ in outbox.apply_receipts([stored])] == [3]
        outbox.maintain()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (FORMAT,)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT count(*) FROM faces WHERE state = 'stored'").fetchone() == (1001,)
    connection.close()


def test_migrates_the_visits_of_format_3(tmp_path):
    connection = new_format_3(tmp_path / "outbox.db", OLD, 0)
    visits = [visit(number) for number in range(3)]
    for each in visits:
        insert_visit_3(connection, each)
    connection.commit()
    connection.close()
    dismissed = replace(visit(9, shots=0), dismissed="no-face")
    with Outbox(OutboxFile(path=tmp_path / "outbox.db")) as outbox:
        outbox.append([], [dismissed])
        assert list(export_visits(outbox)) == [*visits, dismissed]


@pytest.mark.parametrize("new_format", [new_format_1, new_format_2, new_format_3])
def test_a_migrated_file_has_the_schema_of_a_new_one(tmp_path, new_format):
    old = new_format(tmp_path / "old.db", OLD, 0)
    old.commit()
    old.close()
    for name in ("old.db", "new.db"):
        with Outbox(OutboxFile(path=tmp_path / name)):
            pass
    assert columns_and_indexes(tmp_path / "old.db") == columns_and_indexes(tmp_path / "new.db")


def columns_and_indexes(path):
    connection = sqlite3.connect(path)
    names = connection.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
    tables = [name for kind, name in names if kind == "table"]
    columns = {table: connection.execute(f"PRAGMA table_info({table})").fetchall() for table in tables}
    connection.close()
    return set(names), columns


def test_refuses_a_later_format_and_does_not_change_it(tmp_path):
    path = tmp_path / "outbox.db"
    with Outbox(OutboxFile(path=path)):
        pass
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(OutboxError, match=f"format {FORMAT + 1}, this program reads up to {FORMAT}"):
        Outbox(OutboxFile(path=path))
    assert path.read_bytes() == before
