"""Earlier formats are read, with every face; later ones are left alone."""

import hashlib
import secrets
import sqlite3
from datetime import datetime, timezone

import pytest

from face_app.edge.outbox import Outbox
from face_app.edge.outbox_file import FORMAT
from face_app.errors import OutboxError
from face_app.settings import OutboxFile
from face_app.wire import FaceId, Receipt
from services.formats import new_format_1
from services.new_faces import new_face

OLD = "0badcafe"


def make_format_1(path, count):
    """As the first release left it: of ten faces one is stored and one refused."""
    connection = new_format_1(path, OLD, count)
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


def test_the_first_format_is_brought_along_whole(tmp_path):
    path = tmp_path / "outbox.db"
    files = make_format_1(path, 10_000)
    with Outbox(OutboxFile(path=path, ledger_days=1e5)) as outbox:
        assert outbox.id == OLD
        assert outbox.backlog()[0] == 8000
        assert outbox.refused() == {"too-large": 1000}
        assert outbox.oldest(2) == [3, 4]
        assert outbox.newest(2) == [10_000, 9999]
        for row in (3, 5000, 9999):
            assert outbox.message(row) == ("face_app/jetson/door", files[row])
        (new,) = outbox.add([new_face()])
        assert new.id == FaceId(OLD, 10_001)
        stored = Receipt(
            FaceId(OLD, 3), hashlib.sha256(files[3]).hexdigest(), "key-3", datetime.now(timezone.utc), "stored"
        )
        assert [row for row, _ in outbox.settle([stored])] == [3]
        outbox.tidy()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (FORMAT,)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT count(*) FROM faces WHERE state = 'stored'").fetchone() == (1001,)
    connection.close()


def test_a_later_format_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "outbox.db"
    with Outbox(OutboxFile(path=path)):
        pass
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(OutboxError, match=f"format {FORMAT + 1}, this program knows {FORMAT}"):
        Outbox(OutboxFile(path=path))
    assert path.read_bytes() == before
