"""Contain the faces that were not announced yet, and for a while those that were."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from face_app.cloud.gallery.face_key import HOUR_MS, FaceKey, parse_key
from face_app.cloud.notifications.notification_file import NotificationFile, now_ms

State = Literal["new", "more", "late", "quiet", "announced", "passed"]
"""State of a face; `notification_file` explains each."""

SKEW_MS = 600_000
"""Difference between the clocks of store and gallery, milliseconds, that loses no face."""
KEEP_MS = 7_200_000
"""Time, milliseconds, for which an announced face is known: its visit goes on, or a copy of it is stored again."""


@dataclass(frozen=True)
class Seen:
    """Describes a face whose metadata was read.

    Attributes:
        key: Its key.
        at_ms: Time of capture, milliseconds since 1970.
        visit: Its visit; the key if it is unknown.
        score: Quality of the picture, 0 to 1.
    """

    key: FaceKey
    at_ms: int
    visit: str
    score: float


@dataclass(frozen=True)
class Group:
    """Describes faces that wait for one summary.

    Attributes:
        edge: Name of the edge.
        camera: Name of the camera.
        faces: Number of faces.
        visits: Number of visits.
        first_ms: Time of the first capture, milliseconds since 1970.
        last_ms: Time of the last capture.
        offered_first_ms: Time at which the gallery heard of the first one.
        offered_last_ms: Time at which it heard of the last one.
        best: Key of the best picture.
    """

    edge: str
    camera: str
    faces: int
    visits: int
    first_ms: int
    last_ms: int
    offered_first_ms: int
    offered_last_ms: int
    best: str


class News:
    """Reads and writes the table of faces. Thread-safe."""

    def __init__(self, file: NotificationFile) -> None:
        self._file = file
        with file.transaction() as connection:
            (self.since_ms,) = connection.execute("SELECT ms FROM since").fetchone()

    def offer(self, faces: Mapping[FaceKey, int]) -> int:
        """Add faces with the times of their upload in milliseconds; return the number of those that are new here."""
        now, added = now_ms(), 0
        with self._file.transaction() as connection:
            for key, stored_ms in faces.items():
                done = connection.execute(
                    "INSERT OR IGNORE INTO faces (key, edge, camera, offered, stored, at) VALUES (?, ?, ?, ?, ?, ?)",
                    (key.key, key.edge, key.camera, now, stored_ms, key.hour * HOUR_MS),
                )
                added += done.rowcount
        return added

    def listed_since(self, started_ms: int) -> None:
        """Record that a complete listing began at this time: what was stored earlier is known, and old rows go."""
        self.since_ms = max(self.since_ms, started_ms - SKEW_MS)
        with self._file.transaction() as connection:
            connection.execute("UPDATE since SET ms = ?", (self.since_ms,))
            connection.execute(
                "DELETE FROM faces WHERE state IN ('announced', 'passed') AND stored < ? AND offered < ?",
                (self.since_ms, started_ms - KEEP_MS),
            )
            connection.execute("DELETE FROM cameras WHERE cooling_until < ?", (started_ms,))

    def unread(self, limit: int) -> list[FaceKey]:
        """Return the oldest faces that were not judged."""
        with self._file.transaction() as connection:
            rows = connection.execute("SELECT key FROM faces WHERE state = 'new' ORDER BY at, key LIMIT ?", (limit,))
            return [key for (text,) in rows if (key := parse_key(text))]

    def waiting(self, state: State) -> list[Group]:
        """Return the faces of one state by edge and camera."""
        with self._file.transaction() as connection:
            rows = connection.execute(
                "SELECT edge, camera, count(*), count(DISTINCT visit), min(at), max(at), min(offered), max(offered)"
                " FROM faces WHERE state = ? GROUP BY edge, camera ORDER BY edge, camera",
                (state,),
            ).fetchall()
            return [Group(*(*row, _best(connection, state, row[0], row[1]))) for row in rows]


def _best(connection: sqlite3.Connection, state: State, edge: str, camera: str) -> str:
    row = connection.execute(
        "SELECT key FROM faces WHERE state = ? AND edge = ? AND camera = ? ORDER BY score DESC, key LIMIT 1",
        (state, edge, camera),
    ).fetchone()
    return str(row[0])


def set_state(connection: sqlite3.Connection, keys: Iterable[str], state: State) -> None:
    """Change the state of faces."""
    connection.executemany("UPDATE faces SET state = ? WHERE key = ?", [(state, key) for key in keys])


def set_group(connection: sqlite3.Connection, before: State, state: State, *, edge: str = "", camera: str = "") -> None:
    """Change the state of all faces with one state, of an edge or a camera only if it is given."""
    connection.execute(
        "UPDATE faces SET state = ? WHERE state = ? AND (? = '' OR edge = ?) AND (? = '' OR camera = ?)",
        (state, before, edge, edge, camera, camera),
    )


def record(connection: sqlite3.Connection, seen: Seen, state: State) -> None:
    """Record what the metadata of a face says, and its state."""
    connection.execute(
        "UPDATE faces SET at = ?, visit = ?, score = ?, state = ? WHERE key = ?",
        (seen.at_ms, seen.visit, seen.score, state, seen.key.key),
    )


def state_of_visit(connection: sqlite3.Connection, visit: str) -> State | None:
    """Return what happens to the faces of a visit; None if it is new."""
    row = connection.execute(
        "SELECT state FROM faces WHERE visit = ? AND state NOT IN ('new', 'late', 'passed') LIMIT 1", (visit,)
    ).fetchone()
    return row[0] if row else None
