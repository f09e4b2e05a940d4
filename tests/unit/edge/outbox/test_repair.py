"""A damaged face blocks no other one, and is lost only if its pixels are nowhere."""

import hashlib
import sqlite3
from datetime import datetime, timezone

import pytest

from face_app.common.settings import OutboxFile
from face_app.common.wire import Receipt
from face_app.edge.outbox.outbox import Outbox
from support.new_faces import new_face


@pytest.fixture
def faces(path):
    with Outbox(OutboxFile(path=path)) as outbox:
        return outbox.append([new_face(f"camera-{number}") for number in range(1, 7)])


def change(outbox, *statements):
    for statement in statements:
        outbox._connection.execute(statement)


def sent(outbox):
    """Send each waiting face, and apply its receipt as the cloud would give it."""
    hashes = []
    for row in outbox.oldest_pending(100):
        payload = outbox.payloads([row]).get(row)
        if payload:
            hashes.append(hashlib.sha256(payload[1]).hexdigest())
    return hashes


def test_a_batch_with_damaged_faces_has_the_others(path, faces):
    with Outbox(OutboxFile(path=path)) as outbox:
        change(
            outbox,
            "DELETE FROM pixels WHERE row = 1",
            "UPDATE pixels SET row = CASE row WHEN 2 THEN -3 ELSE 2 END WHERE row IN (2, 3)",
            "UPDATE pixels SET row = 3 WHERE row = -3",
        )
        payloads = outbox.payloads([1, 2, 3, 5, 99])
        hashes = {row: hashlib.sha256(pixels).hexdigest() for row, (_, pixels) in payloads.items()}
        assert hashes == {row: faces[row - 1].sha256 for row in (2, 3, 5)}
        assert outbox.payloads([]) == {}
    assert states(path)[1] == "expireddamaged"


def states(path):
    connection = sqlite3.connect(path)
    try:
        return dict(connection.execute("SELECT row, state || reason FROM faces").fetchall())
    finally:
        connection.close()


def test_rows_without_pixels_expire_and_block_no_other_face(path, faces, caplog):
    with Outbox(OutboxFile(path=path)) as outbox:
        change(outbox, "DELETE FROM pixels WHERE row IN (1, 3, 6)")
        assert sent(outbox) == [faces[index].sha256 for index in (1, 3, 4)]
        assert outbox.oldest_pending(9) == [2, 4, 5]
    assert [states(path)[row] for row in (1, 3, 6)] == ["expireddamaged"] * 3
    assert caplog.text.count("its pixels are damaged") == 3


def test_damaged_pixels_expire_and_are_not_sent(path, faces):
    with Outbox(OutboxFile(path=path)) as outbox:
        change(outbox, "UPDATE pixels SET file = substr(file, 1, 500) WHERE row = 2")
        assert sent(outbox) == [face.sha256 for face in faces if face != faces[1]]
    assert states(path)[2] == "expireddamaged"


@pytest.mark.parametrize(
    "rows", [(1, 2), (1, 2, 3), (6, 1, 2, 3, 5, 4)], ids=["two exchanged", "three exchanged", "all exchanged"]
)
def test_exchanged_pixels_return_to_their_faces(path, faces, rows):
    with Outbox(OutboxFile(path=path)) as outbox:
        files = dict(outbox._connection.execute("SELECT row, file FROM pixels").fetchall())
        for row, other in zip(rows, (*rows[1:], rows[0]), strict=True):
            outbox._connection.execute("UPDATE pixels SET file = ? WHERE row = ?", (files[other], row))
        assert sent(outbox) == [face.sha256 for face in faces]
    assert set(states(path).values()) == {"waiting"}


def test_pixels_of_another_face_are_a_copy(path, faces):
    with Outbox(OutboxFile(path=path)) as outbox:
        change(outbox, "UPDATE pixels SET file = (SELECT file FROM pixels WHERE row = 4) WHERE row IN (1, 2)")
        assert sent(outbox) == [face.sha256 for face in faces[2:]]
    assert [states(path)[row] for row in (1, 2, 4)] == ["expireddamaged", "expireddamaged", "waiting"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE faces SET sha256 = 'x' WHERE row = 2",
        "UPDATE faces SET sha256 = '' WHERE row = 2",
        "UPDATE faces SET topic = 'elsewhere' WHERE row = 2",
        "UPDATE faces SET id = 'x' WHERE row = 2",
        "UPDATE faces SET id = replace(id, '0', '1') WHERE row = 2",
        "UPDATE faces SET key = 'x' WHERE row = 2",
    ],
)
def test_a_damaged_row_of_whole_pixels_is_corrected(path, faces, statement):
    with Outbox(OutboxFile(path=path)) as outbox:
        change(outbox, statement)
        assert sent(outbox) == [face.sha256 for face in faces]
        assert outbox.payloads([2])[2][0] == "face_app/jetson/camera-2"
        now = datetime.now(timezone.utc)
        stored = Receipt(faces[1].id, faces[1].sha256, faces[1].key, now, "stored")
        assert [row for row, _ in outbox.apply_receipts([stored])] == [2]


def test_pixels_whose_row_is_gone_are_found_at_the_next_start(path, faces):
    with Outbox(OutboxFile(path=path)) as outbox:
        change(outbox, "DELETE FROM faces WHERE row = 3", "UPDATE pixels SET row = 100 WHERE row = 5")
    with Outbox(OutboxFile(path=path)) as outbox:
        assert sorted(sent(outbox)) == sorted(face.sha256 for face in faces)


@pytest.mark.parametrize(
    "statement",
    [
        "PRAGMA application_id = 5",
        "PRAGMA user_version = 99",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = 2",
        "PRAGMA user_version = 4",
        "DELETE FROM outbox",
        "INSERT INTO outbox SELECT * FROM outbox",
        "UPDATE outbox SET id = 'x'",
        "UPDATE outbox SET sequence = 2",
        "UPDATE outbox SET sequence = 9223372036854775807",
        "UPDATE outbox SET sequence = 'x'",
        "UPDATE outbox SET pruned_to = 1e300",
        "UPDATE outbox SET pruned_to = 'x'",
        "DROP TABLE former",
        "DROP TABLE openings",
        "DROP INDEX score",
    ],
)
def test_a_damaged_record_of_the_outbox_leads_to_a_recovery(path, faces, statement):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()
    with Outbox(OutboxFile(path=path)) as outbox:
        assert outbox.append([new_face()])
        assert sent(outbox)[:6] == [face.sha256 for face in faces]


@pytest.mark.parametrize("offset", [*range(16, 48), *range(52, 72)])
def test_any_damaged_byte_of_the_header_costs_no_face(path, faces, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 0xFF
    path.write_bytes(data)
    with Outbox(OutboxFile(path=path)) as outbox:
        assert outbox.append([new_face()])
        assert sent(outbox)[:6] == [face.sha256 for face in faces]
