"""Write to the index: add and remove faces, compare a part of a listing, record what metadata says."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field

from face_app.cloud.gallery.face_key import HOUR_MS, FaceKey, Folder
from face_app.cloud.gallery.index_file import IndexFile

_MOST = 2**63 - 1
"""Largest number of SQLite. A sequence may have more digits; it is then indexed as this one."""

READ, UNREADABLE = 1, 2

Names = Mapping[Folder, Set[str]]
"""Names of faces by folder."""


@dataclass(frozen=True)
class Meanwhile:
    """Contains the faces that came and went after a listing began; its pages may not show that.

    Attributes:
        arrived: Faces that were stored.
        erased: Faces that were erased.
    """

    arrived: Names
    erased: Names


@dataclass(frozen=True)
class Part:
    """Describes a contiguous part of a listing within one folder: one camera, one hour.

    Attributes:
        faces: Upload time in milliseconds by key, in order.
        after: Name behind which the part begins; empty: at the beginning of the folder.
        complete: The part reaches the end of the folder.
    """

    faces: Mapping[FaceKey, int]
    after: str
    complete: bool


@dataclass(frozen=True)
class Detail:
    """Contains what the metadata of one object says.

    Attributes:
        key: Its key.
        at_ms: Time of capture, milliseconds since 1970; None if it is unknown.
        visit: Id of its visit; empty if it is unknown.
        document: JSON for the pages; empty if the metadata cannot be read.
    """

    key: FaceKey
    at_ms: int | None
    visit: str
    document: str


@dataclass
class _Changes:
    """Collects the changes of the counts in one transaction, and the ids that it has read."""

    hours: Counter[tuple[int, int]] = field(default_factory=Counter)
    places: Counter[int] = field(default_factory=Counter)
    outboxes: Counter[int] = field(default_factory=Counter)
    ids: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def count(self, hour: int, place: int, outbox: int, change: int) -> None:
        self.hours[hour, place] += change
        self.places[place] += change
        self.outboxes[outbox] += change

    def write(self, connection: sqlite3.Connection) -> None:
        connection.executemany(
            "INSERT INTO hours VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET faces = faces + excluded.faces",
            [(*hour, change) for hour, change in self.hours.items()],
        )
        touched = list(self.hours)
        connection.executemany("DELETE FROM hours WHERE hour = ? AND place = ? AND faces <= 0", touched)
        for table, changes in (("places", self.places), ("outboxes", self.outboxes)):
            connection.executemany(
                f"UPDATE {table} SET faces = faces + ? WHERE id = ?",
                [(change, row) for row, change in changes.items()],
            )


class IndexWriter:
    """Writes to the index. Thread-safe."""

    def __init__(self, file: IndexFile) -> None:
        self._file = file

    def add(self, faces: Mapping[FaceKey, int]) -> list[FaceKey]:
        """Add faces with their upload times in milliseconds; return the new ones."""
        with self._file.write() as connection:
            changes = _Changes()
            added = [key for key, stored_ms in faces.items() if _insert(connection, key, stored_ms, changes)]
            changes.write(connection)
        return added

    def remove(self, key: FaceKey) -> bool:
        """Remove a face that the bucket no longer has."""
        with self._file.write() as connection:
            changes = _Changes()
            row = connection.execute(
                "SELECT f.row, f.hour, f.place, f.outbox FROM faces f JOIN places p ON p.id = f.place"
                " WHERE p.edge = ? AND p.camera = ? AND f.hour = ? AND f.name = ?",
                (key.edge, key.camera, key.hour, key.name),
            ).fetchone()
            if row:
                _delete(connection, [row], changes)
                changes.write(connection)
        return bool(row)

    def apply(self, parts: Iterable[Part], meanwhile: Callable[[], Meanwhile]) -> tuple[int, int]:
        """Make the index equal to parts of a listing.

        Args:
            parts: Parts of one listing.
            meanwhile: Returns what came and went since the listing began. It is called when no other thread can add or
                remove a face.

        Returns:
            Number of added and removed faces.
        """
        added = removed = 0
        with self._file.write() as connection:
            changed = meanwhile()
            changes = _Changes()
            for part in parts:
                first = next(iter(part.faces))
                place = _id(connection, "places", "camera", (first.edge, first.camera), changes)
                last = "~" if part.complete else max(key.name for key in part.faces)
                known = {
                    name: (row, first.hour, place, outbox)
                    for row, name, outbox in connection.execute(
                        "SELECT row, name, outbox FROM faces WHERE place = ? AND hour = ? AND name > ? AND name <= ?",
                        (place, first.hour, part.after, last),
                    )
                }
                found = {key.name for key in part.faces} - changed.erased.get(first.folder, set())
                added += sum(
                    _insert(connection, key, stored_ms, changes)
                    for key, stored_ms in part.faces.items()
                    if key.name in found and key.name not in known
                )
                found |= changed.arrived.get(first.folder, set())
                gone = [row for name, row in known.items() if name not in found]
                _delete(connection, gone, changes)
                removed += len(gone)
            changes.write(connection)
        return added, removed

    def remove_hours_except(self, seen: Set[Folder], meanwhile: Callable[[], Meanwhile]) -> int:
        """Remove the faces of all folders (edge, camera, hour) that a complete listing has not seen.

        Args:
            seen: The folders with at least one face.
            meanwhile: As for `apply`.
        """
        removed = 0
        with self._file.write() as connection:
            seen = seen | meanwhile().arrived.keys()
            changes = _Changes()
            folders = connection.execute(
                "SELECT h.hour, h.place, p.edge, p.camera FROM hours h JOIN places p ON p.id = h.place"
            ).fetchall()
            for hour, place, edge, camera in folders:
                if (edge, camera, hour) in seen:
                    continue
                query = "SELECT row, hour, place, outbox FROM faces WHERE place = ? AND hour = ?"
                gone = connection.execute(query, (place, hour)).fetchall()
                _delete(connection, gone, changes)
                removed += len(gone)
            changes.write(connection)
        return removed

    def record(self, details: Iterable[Detail]) -> None:
        """Record what was read, and order the faces that were not read behind it.

        Within one outbox, camera and hour a lower number was captured earlier, so its time is at most that of a face
        with a higher number.
        """
        lowest: dict[tuple[int, int, int], tuple[int, int]] = {}
        with self._file.write() as connection:
            for detail in details:
                row = _set_time(connection, detail)
                if row is None:
                    continue
                number, place, hour, outbox, sequence, at = row
                connection.execute(
                    "INSERT OR REPLACE INTO details VALUES (?, ?, ?)", (number, detail.visit, detail.document)
                )
                group = (outbox, place, hour)
                if detail.at_ms is not None:
                    lowest[group] = min(lowest.get(group, (sequence, at)), (sequence, at))
            for (outbox, place, hour), (sequence, at) in lowest.items():
                connection.execute(
                    "UPDATE faces SET at = ? WHERE outbox = ? AND sequence < ?"
                    " AND place = ? AND hour = ? AND read = 0 AND at > ?",
                    (at, outbox, sequence, place, hour, at),
                )


def _id(connection: sqlite3.Connection, table: str, column: str, names: tuple[str, str], changes: _Changes) -> int:
    """Return the id of a place or an outbox by its edge and its name; create it if it is new."""
    known = (table, names[0], names[1])
    if known not in changes.ids:
        query = f"SELECT id FROM {table} WHERE edge = ? AND {column} = ?"
        if connection.execute(query, names).fetchone() is None:
            connection.execute(f"INSERT INTO {table} (edge, {column}) VALUES (?, ?)", names)
        (changes.ids[known],) = connection.execute(query, names).fetchone()
    return changes.ids[known]


def _insert(connection: sqlite3.Connection, key: FaceKey, stored_ms: int, changes: _Changes) -> bool:
    place = _id(connection, "places", "camera", (key.edge, key.camera), changes)
    outbox = _id(connection, "outboxes", "outbox", (key.edge, key.face.outbox), changes)
    first, last = key.hour * HOUR_MS, (key.hour + 1) * HOUR_MS - 1
    at = stored_ms if first <= stored_ms <= last else last
    done = connection.execute(
        "INSERT OR IGNORE INTO faces (place, hour, name, outbox, sequence, at) VALUES (?, ?, ?, ?, ?, ?)",
        (place, key.hour, key.name, outbox, min(key.face.sequence, _MOST), at),
    )
    if done.rowcount:
        changes.count(key.hour, place, outbox, 1)
    return bool(done.rowcount)


def _delete(connection: sqlite3.Connection, rows: list[tuple[int, int, int, int]], changes: _Changes) -> None:
    for row, hour, place, outbox in rows:
        connection.execute("DELETE FROM faces WHERE row = ?", (row,))
        connection.execute("DELETE FROM details WHERE row = ?", (row,))
        changes.count(hour, place, outbox, -1)


def _set_time(connection: sqlite3.Connection, detail: Detail) -> tuple[int, ...] | None:
    """Set the time of a face within the hour of its key; None if the index lacks the face."""
    key = detail.key
    first, last = key.hour * HOUR_MS, (key.hour + 1) * HOUR_MS - 1
    at = None if detail.at_ms is None else min(max(detail.at_ms, first), last)
    row: tuple[int, ...] | None = connection.execute(
        "UPDATE faces SET at = coalesce(?, at), read = ?"
        " WHERE place = (SELECT id FROM places WHERE edge = ? AND camera = ?) AND hour = ? AND name = ?"
        " RETURNING row, place, hour, outbox, sequence, at",
        (at, READ if detail.document else UNREADABLE, key.edge, key.camera, key.hour, key.name),
    ).fetchone()
    return row
