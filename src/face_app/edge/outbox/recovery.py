"""Recover a damaged outbox: moves it aside, never deletes it, and copies every readable face into a new one.

Recovery can stop after any step. The new file is complete before the first old file is renamed; while it exists, the
next start continues with the renames. The disk needs room for both files.
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
    transaction,
    translate_errors,
)

log = logging.getLogger(__name__)

BATCH = 100
"""Faces per commit; a small batch keeps SQLite's log small."""
MAX_ROWS_PER_PAGE = 40
"""Upper bound of the rows in a page of the ledger. It limits how far a damaged row number makes the scan run."""
MAX_PIXELS = 200_000_000
"""Limit for the decoder when an image has no ledger row; damaged bytes may claim any size."""


@dataclass(frozen=True)
class _Row:
    """Contains one row of the ledger, in the order of its columns."""

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
    """Replace the damaged outbox at `path` by a new one with its readable faces, and open that.

    Raises:
        OutboxUnavailableError: Another process has the damaged outbox open, or the disk is full.
        OutboxError: The folder cannot be written.
    """
    with translate_errors(path), exclusive_access(path):
        new = path.with_name(f"{path.name}.rescued")
        if damage_mark(path).exists():
            if not new.exists():
                _copy_readable(path, new)
            _swap(path, new)
    return open_outbox(path)


def _copy_readable(damaged: Path, new: Path) -> None:
    part = new.with_name(f"{new.name}.part")
    for file in (part, *_sqlite_companions(part)):
        file.unlink(missing_ok=True)
    part.touch(mode=0o600)
    faces = _read_faces(damaged)
    copied = 0
    with closing(connect(part)[0]) as target:
        with transaction(target):
            target.executemany("INSERT INTO former VALUES (?, ?)", _read_former(damaged))
            query = f"INSERT OR IGNORE INTO visits (run, {VISIT_COLUMNS}) VALUES ({', '.join('?' * 8)})"
            target.executemany(query, _read_visits(damaged))
        while batch := list(islice(faces, BATCH)):
            with transaction(target):
                for row, pixels in batch:
                    _insert(target, row, pixels)
            copied += len(batch)
    log.error("outbox %s is damaged: %d ledger rows recovered; `face-app audit` lists missing faces", damaged, copied)
    part.rename(new)


def _insert(target: sqlite3.Connection, row: _Row, pixels: bytes | None) -> None:
    values = asdict(row)
    query = f"INSERT OR IGNORE INTO faces ({', '.join(values)}) VALUES ({', '.join('?' * len(values))}) RETURNING row"
    inserted = target.execute(query, list(values.values())).fetchall()
    if inserted and pixels is not None:
        target.execute("INSERT INTO pixels VALUES (?, ?)", (*inserted[0], pixels))
    metrics.RESCUED.labels(row.state).inc(len(inserted))


def _read_former(damaged: Path) -> list[tuple[Any, ...]]:
    with _open_read_only(damaged) as source:
        own = _query(source, "SELECT id, sequence FROM outbox")
        return own + _query(source, "SELECT id, sequence FROM former")


def _read_visits(damaged: Path) -> Iterator[tuple[Any, ...]]:
    with _open_read_only(damaged) as source:
        for number in _row_numbers(source, damaged, "row", ("visits",)):
            yield from _query(source, f"SELECT run, {VISIT_COLUMNS} FROM visits WHERE row = ?", number)


def _read_faces(damaged: Path) -> Iterator[tuple[_Row, bytes | None]]:
    """Read row by row: one damaged page must not cost the rows behind it."""
    with _open_read_only(damaged) as source:
        # Format 1 had other column names.
        old = _query(source, "PRAGMA user_version") == [(1,)]
        name, settled_at = ("sequence", "stored_at") if old else ("row", "settled_at")
        columns = f"id, run, topic, key, sha256, state, reason, captured_at, {settled_at}, score"
        # The first or last page of `faces` may be damaged, so `pixels` counts for the range too.
        for number in _row_numbers(source, damaged, name, ("faces", "pixels")):
            rows = _query(source, f"SELECT {columns} FROM faces WHERE {name} = ?", number)
            files = _query(source, f"SELECT file FROM pixels WHERE {name} = ?", number)
            face = _check(_Row(*rows[0]) if rows else None, files[0][0] if files else None)
            if face:
                yield face


def _row_numbers(source: sqlite3.Connection, damaged: Path, name: str, tables: tuple[str, ...]) -> range:
    """Return the range of row numbers, no longer than the file can contain."""
    ends = [_query(source, f"SELECT {end}({name}) FROM {table}") for table in tables for end in ("min", "max")]
    known: list[int] = [rows[0][0] for rows in ends if rows and rows[0][0] is not None]
    most = MAX_ROWS_PER_PAGE * (damaged.stat().st_size // PAGE + 1)
    return range(min(known), max(known) + 1)[:most] if known else range(0)


def _check(row: _Row | None, pixels: bytes | None) -> tuple[_Row, bytes | None] | None:
    """Verify the pixels by their hash; a face that lost them expires with the reason ``damaged``."""
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
    # With write access, closing the connection would merge SQLite's log into the damaged file.
    uri = f"{damaged.absolute().as_uri()}?mode=ro"
    return closing(sqlite3.connect(uri, uri=True, isolation_level=None))


def _query(source: sqlite3.Connection, query: str, *values: int) -> list[tuple[Any, ...]]:
    """Return the rows of a query, or an empty list if a damaged page prevents it."""
    try:
        return source.execute(query, values).fetchall()
    except sqlite3.DatabaseError:
        return []


def _swap(path: Path, new: Path) -> None:
    # The name contains the time of the new file, so that a second attempt continues under the same name.
    made = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(new.stat().st_mtime))
    aside = path.with_name(f"{path.name}.damaged-{made}")
    for before, after in zip((*_sqlite_companions(path), path), (*_sqlite_companions(aside), aside), strict=True):
        if before.exists():
            before.rename(after)
    new.rename(path)
    damage_mark(path).unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    log.error("the damaged outbox is now %s; delete it when its faces are no longer needed", aside)


def _sqlite_companions(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
