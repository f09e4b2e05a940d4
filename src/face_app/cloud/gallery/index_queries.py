"""Answer the questions of the pages from the index. No query reads more rows than it returns, but `outboxes`."""

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass

from face_app.cloud.audit.spans import Span
from face_app.cloud.gallery.face_key import HOUR_MS, FaceKey, key_of, parse_key
from face_app.cloud.gallery.index_file import IndexFile

_COLUMNS = "f.row, p.edge, p.camera, f.hour, f.name, f.at, f.read, d.visit, d.document"
_FROM = "FROM faces f JOIN places p ON p.id = f.place LEFT JOIN details d ON d.row = f.row"
OUTBOX_SECONDS = 5.0
"""Seconds for which the facts of the outboxes are repeated: they read every number, half a second for a million."""
MAX_SPANS = 50
"""Maximum number of gaps that are listed for one outbox."""


@dataclass(frozen=True)
class Filter:
    """Selects faces.

    Attributes:
        edge: Name of the only edge; empty: all.
        camera: Name of the only camera; empty: all.
        since: Hour from which faces are selected, hours since 1970 (UTC); None: no limit.
        until: Hour before which faces are selected; None: no limit.
    """

    edge: str = ""
    camera: str = ""
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, order=True)
class Cursor:
    """Marks a place in the timeline, by the time of a face in milliseconds and its row."""

    at: int
    row: int

    def __str__(self) -> str:
        return f"{self.at}-{self.row}"

    @classmethod
    def parse(cls, text: str) -> "Cursor | None":
        """Parse what `str` returns; None for any other text."""
        at, _, row = text.partition("-")
        if at.isdecimal() and row.isdecimal() and len(text) < 40:
            return cls(min(int(at), 2**63 - 1), min(int(row), 2**63 - 1))
        return None


@dataclass(frozen=True)
class IndexedFace:
    """Describes a face as the index has it.

    Attributes:
        cursor: Its place in the timeline.
        key: Its key.
        read: 0: its metadata was not read; 1: it was; 2: it cannot be read.
        visit: Id of its visit; empty if it is unknown.
        document: Its metadata as JSON; empty if it is unknown.
    """

    cursor: Cursor
    key: FaceKey
    read: int
    visit: str
    document: str


@dataclass(frozen=True)
class OutboxFacts:
    """Describes what the keys of one outbox prove.

    Attributes:
        edge: Name of the edge.
        outbox: Id of the outbox.
        faces: Number of objects.
        last: Highest sequence number.
        gaps: Numbers from 1 to `last` without an object; at most `MAX_SPANS`.
        missing: How many numbers the gaps contain, those beyond `MAX_SPANS` too.
    """

    edge: str
    outbox: str
    faces: int
    last: int
    gaps: tuple[Span, ...]
    missing: int


class IndexQueries:
    """Reads the index. Thread-safe."""

    def __init__(self, file: IndexFile) -> None:
        self._file = file
        self._outboxes: tuple[float, list[OutboxFacts]] = (float("-inf"), [])

    def newest(self, wanted: Filter, limit: int, before: Cursor | None = None) -> list[IndexedFace]:
        """Return faces, newest first.

        Args:
            wanted: Which faces.
            limit: How many at most.
            before: Only faces behind this place.
        """
        return self._ordered(wanted, limit, before, newest_first=True)

    def oldest_after(self, wanted: Filter, limit: int, after: Cursor) -> list[IndexedFace]:
        """Return the faces before a place in the timeline, the nearest first."""
        return self._ordered(wanted, limit, after, newest_first=False)

    def _ordered(self, wanted: Filter, limit: int, mark: Cursor | None, *, newest_first: bool) -> list[IndexedFace]:
        sign, order = ("<", "DESC") if newest_first else (">", "ASC")
        limits, values = _limits(wanted, "at", HOUR_MS)
        if mark:
            limits.append(f"(at, row) {sign} (?, ?)")
            values += [mark.at, mark.row]
        where = " AND ".join(limits)
        tail = f"ORDER BY at {order}, row {order} LIMIT {limit}"
        with self._file.read() as connection:
            places = _places(connection, wanted)
            if places is None:
                picked = f"SELECT row, at FROM faces {f'WHERE {where}' if where else ''} {tail}"
                chosen = connection.execute(picked, values).fetchall()
            else:
                # One camera after the other by its own order: a filter over all faces would read those of others.
                picked = f"SELECT row, at FROM faces WHERE place = ? {f'AND {where}' if where else ''} {tail}"
                found = [row for place in places for row in connection.execute(picked, [place, *values])]
                chosen = sorted(found, key=lambda row: (row[1], row[0]), reverse=newest_first)[:limit]
            rows = [row for row, _ in chosen]
            query = f"SELECT {_COLUMNS} {_FROM} WHERE f.row = ?"
            return [face for row in rows for face in _faces(connection.execute(query, (row,)))]

    def face(self, key: FaceKey) -> IndexedFace | None:
        """Return one face; None if the index lacks it."""
        query = f"SELECT {_COLUMNS} {_FROM} WHERE p.edge = ? AND p.camera = ? AND f.hour = ? AND f.name = ?"
        with self._file.read() as connection:
            found = connection.execute(query, (key.edge, key.camera, key.hour, key.name))
            return next(_faces(found), None)

    def visit(self, visit: str) -> list[IndexedFace]:
        """Return the faces of a visit whose metadata was read, in the order of their capture."""
        query = f"SELECT {_COLUMNS} FROM details v JOIN faces f ON f.row = v.row JOIN places p ON p.id = f.place"
        query += " JOIN details d ON d.row = f.row WHERE v.visit = ? ORDER BY f.at, f.row LIMIT 200"
        with self._file.read() as connection:
            return list(_faces(connection.execute(query, (visit,))))

    def hours(self, wanted: Filter) -> dict[int, int]:
        """Return the number of faces by hour; hours without a face are omitted."""
        limits, values = _limits(wanted, "hour")
        with self._file.read() as connection:
            places = _places(connection, wanted)
            if places is not None:
                limits.append(f"place IN ({','.join('?' * len(places))})")
                values += places
            where = f"WHERE {' AND '.join(limits)}" if limits else ""
            return dict(connection.execute(f"SELECT hour, sum(faces) FROM hours {where} GROUP BY hour", values))

    def cameras(self) -> list[tuple[str, str, int]]:
        """Return edge, camera and number of faces of each camera that has any."""
        with self._file.read() as connection:
            return connection.execute(
                "SELECT edge, camera, faces FROM places WHERE faces > 0 ORDER BY edge, camera"
            ).fetchall()

    def outboxes(self) -> list[OutboxFacts]:
        """Return what the keys prove for each outbox, at most `OUTBOX_SECONDS` ago."""
        counted_at, found = self._outboxes
        if time.monotonic() < counted_at + OUTBOX_SECONDS:
            return found
        with self._file.read() as connection:
            rows = connection.execute("SELECT id, edge, outbox, faces FROM outboxes WHERE faces > 0 ORDER BY 2, 3")
            found = [_outbox_facts(connection, *row) for row in rows.fetchall()]
        self._outboxes = (time.monotonic(), found)
        return found


def _limits(wanted: Filter, column: str, unit: int = 1) -> tuple[list[str], list[int]]:
    """Return the conditions for a column that counts in units of an hour, and their values."""
    limits, values = [], []
    for sign, hour in ((">=", wanted.since), ("<", wanted.until)):
        if hour is not None:
            limits.append(f"{column} {sign} ?")
            values.append(hour * unit)
    return limits, values


def _places(connection: sqlite3.Connection, wanted: Filter) -> list[int] | None:
    """Return the ids of the selected cameras; None if all are selected."""
    if not wanted.edge and not wanted.camera:
        return None
    query = "SELECT id FROM places WHERE (? = '' OR edge = ?) AND (? = '' OR camera = ?)"
    found = connection.execute(query, (wanted.edge, wanted.edge, wanted.camera, wanted.camera))
    return [row for (row,) in found]


def _faces(rows: sqlite3.Cursor) -> Iterator[IndexedFace]:
    for row, edge, camera, hour, name, at, read, visit, document in rows:
        key = parse_key(key_of(edge, camera, hour, name))
        if key:
            yield IndexedFace(Cursor(at, row), key, read, visit or "", document or "")


def _outbox_facts(connection: sqlite3.Connection, row: int, edge: str, outbox: str, faces: int) -> OutboxFacts:
    query = "SELECT max(sequence) FROM faces WHERE outbox = ?"
    (last,) = connection.execute(query, (row,)).fetchone()
    gaps = """
        SELECT before + 1, sequence - 1 FROM (
            SELECT sequence, lag(sequence, 1, 0) OVER (ORDER BY sequence) AS before FROM faces WHERE outbox = ?
        ) WHERE sequence > before + 1
    """
    # A complete outbox is the rule, and needs no pass over its numbers. A duplicate could hide a gap here.
    (distinct,) = connection.execute("SELECT count(DISTINCT sequence) FROM faces WHERE outbox = ?", (row,)).fetchone()
    spans = [Span(*span) for span in connection.execute(gaps, (row,))] if distinct < last else []
    return OutboxFacts(edge, outbox, faces, last, tuple(spans[:MAX_SPANS]), sum(span.count for span in spans))
