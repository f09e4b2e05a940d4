"""Record the messages that faces came from, so that a message that is delivered twice is one face."""

import sqlite3
from collections.abc import Iterable

from face_app.edge.outbox.records import NewFace

MAX_ORIGINS = 1000
"""Number of digests in the file. A broker delivers again what was not acknowledged: at most a window of messages."""

_TABLE = "CREATE TABLE IF NOT EXISTS origins (row INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE)"


def add_origins(connection: sqlite3.Connection, faces: Iterable[NewFace]) -> list[NewFace]:
    """Record the origins of faces in the open transaction; return the faces whose origin was not recorded before.

    Only an outbox of a source with origins has the table. A recovery does not copy it: then a message that is
    delivered again at that moment becomes a second face.
    """
    given = list(faces)
    if not any(face.origin for face in given):
        return given
    connection.execute(_TABLE)
    new = [face for face in given if not face.origin or _add(connection, face.origin)]
    connection.execute("DELETE FROM origins WHERE row <= (SELECT max(row) FROM origins) - ?", (MAX_ORIGINS,))
    return new


def _add(connection: sqlite3.Connection, digest: str) -> bool:
    return connection.execute("INSERT OR IGNORE INTO origins (digest) VALUES (?)", (digest,)).rowcount > 0
