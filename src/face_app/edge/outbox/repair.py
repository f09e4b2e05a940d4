"""Repair or set aside a waiting face whose row or pixels are damaged, so that it blocks no other face.

Pixels that belong to another face are given to that face: damage can exchange the rows of two faces.
"""

import hashlib
import logging
import sqlite3

from face_app.common.errors import MessageError
from face_app.common.wire import FaceId, FaceTopic, face_of_key
from face_app.edge.outbox.pruning import expire
from face_app.edge.outbox.salvage import insert_face, row_from_pixels

log = logging.getLogger(__name__)


def is_intact(face_id: str, topic: str, key: str, sha256: str, pixels: bytes | None) -> bool:
    """Return True if a face can be sent, and its receipt will match its row."""
    try:
        FaceTopic.parse(topic)
        same = face_of_key(key) == FaceId.parse(face_id) and sha256[:12] in key
    except MessageError:
        return False
    return same and _is_whole(pixels, sha256)


def _is_whole(pixels: bytes | None, sha256: str) -> bool:
    return pixels is not None and hashlib.sha256(pixels).hexdigest() == sha256


def repair(connection: sqlite3.Connection, row: int) -> None:
    """Repair a waiting face, or let it expire with the reason ``damaged``. Call this in a transaction."""
    # Each round gives one other face its own pixels, and leaves that face's pixels here.
    while True:
        ((sha256, pixels),) = connection.execute(
            "SELECT sha256, file FROM faces LEFT JOIN pixels USING (row) WHERE row = ?", (row,)
        ).fetchall()
        if _is_whole(pixels, sha256):
            _correct(connection, row, pixels)
            return
        if pixels is not None and _correct_hash(connection, row, pixels):
            continue
        owner = None if pixels is None else _owner(connection, row, pixels)
        if owner is None:
            _expire(connection, row)
            return
        others = connection.execute("SELECT file FROM pixels WHERE row = ?", (owner,)).fetchall()
        _replace(connection, owner, pixels)
        _replace(connection, row, others[0][0] if others else None)


def _correct(connection: sqlite3.Connection, row: int, pixels: bytes) -> None:
    """Correct the row of whole pixels by the metadata in their image."""
    face = row_from_pixels(pixels)
    if face and not connection.execute("SELECT 1 FROM faces WHERE id = ? AND row <> ?", (face.id, row)).fetchall():
        values = (face.id, face.topic, face.key, row)
        connection.execute("UPDATE faces SET id = ?, topic = ?, key = ? WHERE row = ?", values)


def _correct_hash(connection: sqlite3.Connection, row: int, pixels: bytes) -> bool:
    """Correct a damaged hash in the row of whole pixels: the key of a face contains a part of its hash too."""
    sha256 = hashlib.sha256(pixels).hexdigest()
    query = "UPDATE faces SET sha256 = ? WHERE row = ? AND sha256 <> ? AND instr(key, ?)"
    return bool(connection.execute(query, (sha256, row, sha256, sha256[:12])).rowcount)


def _owner(connection: sqlite3.Connection, row: int, pixels: bytes) -> int | None:
    """Return the row of the face that pixels belong to, if it has lost them; insert that row if it is missing."""
    face = row_from_pixels(pixels)
    if face is None:
        return None
    query = "SELECT row, state, sha256, file FROM faces LEFT JOIN pixels USING (row) WHERE id = ? AND row <> ?"
    found = connection.execute(query, (face.id, row)).fetchall()
    if not found:
        if connection.execute("SELECT 1 FROM faces WHERE id = ?", (face.id,)).fetchall():
            return None  # this row itself: its pixels are damaged, and their metadata is not
        return insert_face(connection, 0, face)
    ((owner, state, sha256, file),) = found
    lost = state in {"waiting", "refused"} and not _is_whole(file, sha256)
    return owner if sha256 == face.sha256 and lost else None


def _replace(connection: sqlite3.Connection, row: int, pixels: bytes | None) -> None:
    connection.execute("DELETE FROM pixels WHERE row = ?", (row,))
    if pixels is not None:
        connection.execute("INSERT INTO pixels VALUES (?, ?)", (row, pixels))


def _expire(connection: sqlite3.Connection, row: int) -> None:
    (face_id,) = expire(connection, "SELECT :row", {"row": row}, "damaged")
    log.error("face %s is lost: its pixels are damaged. Check the disk of the outbox", face_id)
