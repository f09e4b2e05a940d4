"""A damaged outbox: set aside, never deleted, and what can be read of it saved into a new one.

The steps can be cut off anywhere: the new file is complete before the first old one is moved, and as long as it
stands beside them, moving goes on at the next start. The disk needs room for both.
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
    VISIT,
    OpenOutbox,
    claimed,
    connect,
    damage_mark,
    open_outbox,
    transaction,
    translate_errors,
)

log = logging.getLogger(__name__)

BATCH = 100
"""Faces a commit, so that SQLite's log stays small."""
ROWS_A_PAGE = 40
"""More than a page of the ledger holds: bounds what a damaged number can make us count to."""
MAX_PIXELS = 200_000_000
"""Of an image whose ledger row is gone; a bound for what damaged bytes can make a decoder do."""


@dataclass(frozen=True)
class _Row:
    """A row of the ledger, in the order of its columns."""

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
    """Set the damaged outbox at `path` aside, put a new one with its readable faces there, and open that.

    Raises:
        OutboxUnavailableError: Another program has the damaged one open, or the disk is full.
        OutboxError: Nothing can be written there.
    """
    with translate_errors(path), claimed(path):
        new = path.with_name(f"{path.name}.rescued")
        if damage_mark(path).exists():
            if not new.exists():
                _save(path, new)
            _replace(path, new)
    return open_outbox(path)


def _save(damaged: Path, new: Path) -> None:
    part = new.with_name(f"{new.name}.part")
    for file in (part, *_companions(part)):
        file.unlink(missing_ok=True)
    part.touch(mode=0o600)
    faces = _faces(damaged)
    saved = 0
    with closing(connect(part)[0]) as target:
        with transaction(target):
            target.executemany("INSERT INTO former VALUES (?, ?)", _former(damaged))
            query = f"INSERT OR IGNORE INTO visits (run, {VISIT}) VALUES ({', '.join('?' * 8)})"
            target.executemany(query, _visits(damaged))
        while batch := list(islice(faces, BATCH)):
            with transaction(target):
                for row, pixels in batch:
                    _insert(target, row, pixels)
            saved += len(batch)
    log.error("outbox %s is damaged: %d rows of it are saved; what is missing, the audit tells", damaged, saved)
    part.rename(new)


def _insert(target: sqlite3.Connection, row: _Row, pixels: bytes | None) -> None:
    values = asdict(row)
    query = f"INSERT OR IGNORE INTO faces ({', '.join(values)}) VALUES ({', '.join('?' * len(values))}) RETURNING row"
    inserted = target.execute(query, list(values.values())).fetchall()
    if inserted and pixels is not None:
        target.execute("INSERT INTO pixels VALUES (?, ?)", (*inserted[0], pixels))
    metrics.RESCUED.labels(row.state).inc(len(inserted))


def _former(damaged: Path) -> list[tuple[Any, ...]]:
    with _opened(damaged) as source:
        return _ask(source, "SELECT id, sequence FROM outbox") + _ask(source, "SELECT id, sequence FROM former")


def _visits(damaged: Path) -> Iterator[tuple[Any, ...]]:
    """Read row by row, as the faces are."""
    with _opened(damaged) as source:
        most = ROWS_A_PAGE * (damaged.stat().st_size // PAGE + 1)
        for at in _numbers(source, "row", ("visits",))[:most]:
            yield from _ask(source, f"SELECT run, {VISIT} FROM visits WHERE row = ?", at)


def _opened(damaged: Path) -> AbstractContextManager[sqlite3.Connection]:
    # Read-only, or closing it would write its log into it.
    uri = f"{damaged.absolute().as_uri()}?mode=ro"
    return closing(sqlite3.connect(uri, uri=True, isolation_level=None))


def _faces(damaged: Path) -> Iterator[tuple[_Row, bytes | None]]:
    """Read row by row, for one bad page must not cost the rows behind it."""
    with _opened(damaged) as source:
        # Format 1 had other names.
        old = _ask(source, "PRAGMA user_version") == [(1,)]
        number, settled_at = ("sequence", "stored_at") if old else ("row", "settled_at")
        columns = f"id, run, topic, key, sha256, state, reason, captured_at, {settled_at}, score"
        most = ROWS_A_PAGE * (damaged.stat().st_size // PAGE + 1)
        # The pixels' table counts too: the ledger's first or last page may be the bad one.
        for at in _numbers(source, number, ("faces", "pixels"))[:most]:
            rows = _ask(source, f"SELECT {columns} FROM faces WHERE {number} = ?", at)
            files = _ask(source, f"SELECT file FROM pixels WHERE {number} = ?", at)
            face = _judge(_Row(*rows[0]) if rows else None, files[0][0] if files else None)
            if face:
                yield face


def _numbers(source: sqlite3.Connection, name: str, tables: tuple[str, ...]) -> range:
    ends = [_ask(source, f"SELECT {end}({name}) FROM {table}") for table in tables for end in ("min", "max")]
    known: list[int] = [rows[0][0] for rows in ends if rows and rows[0][0] is not None]
    return range(min(known), max(known) + 1) if known else range(0)


def _judge(row: _Row | None, pixels: bytes | None) -> tuple[_Row, bytes | None] | None:
    if row is None:
        return _from_pixels(pixels) if pixels else None
    if row.state not in {"waiting", "refused"}:
        return row, None
    whole = pixels is not None and hashlib.sha256(pixels).hexdigest() == row.sha256
    return (row, pixels) if whole else (replace(row, state="expired", reason="damaged", settled_at=time.time()), None)


def _from_pixels(pixels: bytes) -> tuple[_Row, bytes] | None:
    """Make the row of a face anew from the story inside its file."""
    try:
        image = read_image(pixels, max_pixels=MAX_PIXELS)
    except MessageError:
        return None
    if image.face_id is None or image.metadata is None:
        return None
    face, sha256 = image.metadata, hashlib.sha256(pixels).hexdigest()
    topic = FaceTopic(face.edge, face.camera)
    key = object_key(topic, image.face_id, face.captured_at, sha256, image.suffix)
    at, score = face.captured_at.timestamp(), face.shot_score
    return _Row(str(image.face_id), "", str(topic), key, sha256, "waiting", "", at, None, score), pixels


def _ask(source: sqlite3.Connection, query: str, *values: int) -> list[tuple[Any, ...]]:
    try:
        return source.execute(query, values).fetchall()
    except sqlite3.DatabaseError:
        return []


def _replace(path: Path, new: Path) -> None:
    # Named after the new file's own time, so that a replacement that was cut off goes on under the same name.
    made = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(new.stat().st_mtime))
    aside = path.with_name(f"{path.name}.damaged-{made}")
    for before, after in zip((*_companions(path), path), (*_companions(aside), aside), strict=True):
        if before.exists():
            before.rename(after)
    new.rename(path)
    damage_mark(path).unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    log.error("the damaged outbox is kept as %s", aside)


def _companions(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
