"""Recover a damaged outbox: copy every readable face into a new file, then set the damaged file aside.

Recovery may be interrupted after any step; the next start continues it. The new file is complete before the first
damaged file is renamed. The damaged file is never deleted, so the disk needs room for both files.
"""

import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from face_app.common.errors import MessageError
from face_app.common.metadata import read_image
from face_app.common.wire import FaceTopic, object_key
from face_app.edge import metrics
from face_app.edge.outbox.quota import PAGE
from face_app.edge.outbox.schema import (
    VISIT_COLUMNS,
    OpenOutbox,
    connect,
    damage_mark,
    exclusive_access,
    open_outbox,
    placeholders,
    transaction,
    translate_errors,
)

log = logging.getLogger(__name__)

BATCH = 100
"""Number of faces per commit; a small batch limits the size of SQLite's write-ahead log."""
MAX_ROWS_PER_PAGE = 40
"""Maximum number of rows in a page of the ledger. It bounds the scan when a damaged row number is huge."""
MAX_PIXELS = 200_000_000
"""Maximum size of an image that has no ledger row, width x height: damaged bytes may declare any size."""


@dataclass(frozen=True)
class _Row:
    """Contains one row of the ledger, in the order of the columns."""

    id: str
    run: str
    topic: str
    key: str
    sha256: str
    state: str
    reason: str
    captured_at: float
    settled_at: float | None
    score: float


def recover(path: Path) -> OpenOutbox:
    """Replace the damaged outbox at `path` by a new outbox with the readable faces, and open the new one.

    Raises:
        OutboxUnavailableError: Another process has the damaged outbox open, or the disk is full.
        OutboxError: The folder cannot be written.
    """
    with translate_errors(path), exclusive_access(path):
        created = path.with_name(f"{path.name}.rescued")
        if damage_mark(path).exists():  # otherwise another process has recovered the outbox meanwhile
            if not created.exists():
                _copy_readable(path, created)
            _swap(path, created)
    return open_outbox(path)


def _copy_readable(damaged: Path, created: Path) -> None:
    """Copy every readable face and visit into a new file, which gets its name `created` when it is complete."""
    part = created.with_name(f"{created.name}.part")
    for file in (part, *_sqlite_companions(part)):
        file.unlink(missing_ok=True)
    part.touch(mode=0o600)
    faces = _read_faces(damaged)
    copied = 0
    with closing(connect(part)[0]) as target:
        with transaction(target):
            target.executemany("INSERT INTO former VALUES (?, ?)", _read_former_ids(damaged))
            columns = f"run, {VISIT_COLUMNS}"
            query = f"INSERT OR IGNORE INTO visits ({columns}) VALUES ({placeholders(columns)})"
            target.executemany(query, _read_visits(damaged))
        while batch := list(islice(faces, BATCH)):
            with transaction(target):
                for row, pixels in batch:
                    _insert(target, row, pixels)
            copied += len(batch)
    log.error(
        "outbox %s is damaged: %d ledger rows recovered; run `face-app audit` with this edge's ledger to list missing "
        "faces",
        *(damaged, copied),
    )
    part.rename(created)


def _insert(target: sqlite3.Connection, row: _Row, pixels: bytes | None) -> None:
    values = asdict(row)
    columns = ", ".join(values)
    query = f"INSERT OR IGNORE INTO faces ({columns}) VALUES ({placeholders(columns)}) RETURNING row"
    inserted = target.execute(query, list(values.values())).fetchall()
    if inserted and pixels is not None:
        target.execute("INSERT INTO pixels VALUES (?, ?)", (*inserted[0], pixels))
    metrics.RECOVERED.labels(row.state).inc(len(inserted))


def _read_former_ids(damaged: Path) -> list[tuple[Any, ...]]:
    """Return the earlier ids of this outbox, and the id of the damaged file, each with its last sequence number."""
    with _open_read_only(damaged) as source:
        own = _query(source, "SELECT id, sequence FROM outbox")
        return own + _query(source, "SELECT id, sequence FROM former")


def _read_visits(damaged: Path) -> Iterator[tuple[Any, ...]]:
    with _open_read_only(damaged) as source:
        columns = VISIT_COLUMNS
        if _query(source, "PRAGMA user_version") == [(3,)]:
            columns = columns.replace("dismissed", "''")  # format 3 had no dismissed visits
        for number in _row_numbers(source, damaged, "row", ("visits",)):
            yield from _query(source, f"SELECT run, {columns} FROM visits WHERE row = ?", number)


def _read_faces(damaged: Path) -> Iterator[tuple[_Row, bytes | None]]:
    """Yield each face that can be read, row by row: a damaged page must not hide the rows after it."""
    with _open_read_only(damaged) as source:
        # Format 1 had other column names.
        old = _query(source, "PRAGMA user_version") == [(1,)]
        name, settled_at = ("sequence", "stored_at") if old else ("row", "settled_at")
        columns = f"id, run, topic, key, sha256, state, reason, captured_at, {settled_at}, score"
        # The first or last page of `faces` may be damaged, so the range also considers `pixels`.
        for number in _row_numbers(source, damaged, name, ("faces", "pixels")):
            rows = _query(source, f"SELECT {columns} FROM faces WHERE {name} = ?", number)
            files = _query(source, f"SELECT file FROM pixels WHERE {name} = ?", number)
            face = _salvage(_Row(*rows[0]) if rows else None, files[0][0] if files else None)
            if face:
                yield face


def _row_numbers(source: sqlite3.Connection, damaged: Path, name: str, tables: tuple[str, ...]) -> range:
    """Return the range of row numbers, no longer than the file can contain."""
    bounds = [_query(source, f"SELECT {bound}({name}) FROM {table}") for table in tables for bound in ("min", "max")]
    numbers: list[int] = [rows[0][0] for rows in bounds if rows and rows[0][0] is not None]
    if not numbers:
        return range(0)
    max_rows = MAX_ROWS_PER_PAGE * (damaged.stat().st_size // PAGE + 1)
    return range(min(numbers), max(numbers) + 1)[:max_rows]


def _salvage(row: _Row | None, pixels: bytes | None) -> tuple[_Row, bytes | None] | None:
    """Return what can be recovered of a face; if its pixels are damaged, it expires with the reason ``damaged``."""
    if row is None:
        return _row_from_pixels(pixels) if pixels else None
    if row.state not in {"waiting", "refused"}:
        return row, None
    if pixels is not None and hashlib.sha256(pixels).hexdigest() == row.sha256:
        return row, pixels
    return replace(row, state="expired", reason="damaged", settled_at=time.time()), None


def _row_from_pixels(pixels: bytes) -> tuple[_Row, bytes] | None:
    """Rebuild the ledger row of a face from the metadata in its image."""
    try:
        image = read_image(pixels, max_pixels=MAX_PIXELS)
    except MessageError:
        return None
    face_id, metadata = image.face_id, image.metadata
    if face_id is None or metadata is None:
        return None
    sha256 = hashlib.sha256(pixels).hexdigest()
    topic = FaceTopic(metadata.edge, metadata.camera)
    key = object_key(topic, face_id, metadata.captured_at, sha256, image.suffix)
    at, score = metadata.captured_at.timestamp(), metadata.shot_score
    return _Row(str(face_id), "", str(topic), key, sha256, "waiting", "", at, None, score), pixels


def _open_read_only(damaged: Path) -> AbstractContextManager[sqlite3.Connection]:
    # With write access, closing the connection would merge the write-ahead log into the damaged file.
    uri = f"{damaged.absolute().as_uri()}?mode=ro"
    return closing(sqlite3.connect(uri, uri=True, isolation_level=None))


def _query(source: sqlite3.Connection, query: str, *values: int) -> list[tuple[Any, ...]]:
    """Return the rows of a query, or an empty list if a damaged page prevents it."""
    try:
        return source.execute(query, values).fetchall()
    except sqlite3.DatabaseError:
        return []


def _swap(path: Path, created: Path) -> None:
    """Set the damaged file aside, and give its name to the new file."""
    # The name contains the time of the new file, so that a second attempt continues under the same name.
    created_at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(created.stat().st_mtime))
    aside = path.with_name(f"{path.name}.damaged-{created_at}")
    # The companions go first: SQLite would apply a `-wal` file of the damaged outbox to the new one.
    for before, after in zip((*_sqlite_companions(path), path), (*_sqlite_companions(aside), aside), strict=True):
        if before.exists():
            before.rename(after)
    created.rename(path)
    damage_mark(path).unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    log.error("the damaged outbox is now %s; delete it when its faces are no longer needed", aside)


def _sqlite_companions(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
