"""Export the ledger and the visits of an outbox, for the audit."""

import errno
import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from sqlite3 import Connection
from tempfile import TemporaryFile
from typing import Any

from face_app.common.errors import MessageError, OutboxDamagedError, OutboxUnavailableError
from face_app.common.ledger_file import EdgeLedger, LedgerEntry
from face_app.common.wire import FaceId
from face_app.edge.outbox.access import mark_damaged
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.records import Visit
from face_app.edge.outbox.schema import VISIT_COLUMNS

_ENTRIES = "SELECT id, key, sha256, state, reason, captured_at, settled_at FROM faces ORDER BY row"
_VISITS = f"SELECT {VISIT_COLUMNS} FROM visits ORDER BY row"
SLICE = 1000
"""Number of rows that are read, and written to a temporary file, at a time."""


@contextmanager
def export_ledger(outbox: Outbox, edge: str) -> Iterator[EdgeLedger]:
    """Copy the ledger of an outbox in one consistent snapshot; the entries are read lazily from the copy.

    A reader of the outbox itself would prevent the reset of its write-ahead log for as long as it is open, for example
    as long as a pager shows the ledger.

    Args:
        outbox: An open outbox.
        edge: Name of the edge that owns the outbox.

    Raises:
        OutboxError: The outbox cannot be read, or the disk has no room for the copy.
    """
    with _copied_rows(outbox, _ENTRIES) as (header, rows):
        yield replace(header, edge=edge, entries=_entries(outbox, rows))


def export_visits(outbox: Outbox) -> Iterator[Visit]:
    """Yield the visits of an outbox in the order of their commit.

    Raises:
        OutboxError: The outbox cannot be read, or the disk has no room for a copy.
    """
    with _copied_rows(outbox, _VISITS) as (_, rows), _damage_is_marked(outbox):
        for camera, track, first_at, last_at, *rest in rows:
            first = datetime.fromtimestamp(first_at, timezone.utc)
            last = datetime.fromtimestamp(last_at, timezone.utc)
            yield Visit(camera, track, first, last, *rest)


@contextmanager
def _copied_rows(outbox: Outbox, query: str) -> Iterator[tuple[EdgeLedger, Iterator[list[Any]]]]:
    """Copy the rows of a query into a temporary file beside the outbox, and read the header of the ledger."""
    try:
        with TemporaryFile(dir=outbox.path.parent) as file:
            with outbox.read_snapshot() as snapshot, gzip.open(file, "wt", compresslevel=1) as copy:
                header = _header(snapshot)
                cursor = snapshot.execute(query)
                while rows := cursor.fetchmany(SLICE):
                    with _damage_is_marked(outbox):
                        copy.write(json.dumps(rows) + "\n")
            file.seek(0)
            with gzip.open(file, "rt") as copy:
                yield header, (row for line in copy for row in json.loads(line))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OutboxUnavailableError(f"{outbox.path.parent}: no room for a copy of the ledger; make room") from error


def _header(snapshot: Connection) -> EdgeLedger:
    ((own, last, pruned_to),) = snapshot.execute("SELECT id, sequence, pruned_to FROM outbox").fetchall()
    former = dict(snapshot.execute("SELECT id, sequence FROM former").fetchall())
    # A remaining face may have the same time as the latest pruned one, so the ledger is complete just after it.
    since = None if pruned_to is None else datetime.fromtimestamp(pruned_to + 1e-6, timezone.utc)
    openings = _grouped(snapshot, "SELECT outbox, token, first FROM openings ORDER BY outbox, first")
    pruned = _grouped(snapshot, "SELECT outbox, first, last, reason FROM pruned ORDER BY outbox, first")
    return EdgeLedger("", {**former, own: last}, since, (), openings, pruned, datetime.now(timezone.utc))


def _grouped(snapshot: Connection, query: str) -> dict[str, list[Any]]:
    """Return the rows of a query by their first column, without it."""
    grouped: dict[str, list[Any]] = {}
    for outbox, *rest in snapshot.execute(query):
        grouped.setdefault(outbox, []).append(tuple(rest))
    return grouped


def _entries(outbox: Outbox, rows: Iterator[list[Any]]) -> Iterator[LedgerEntry]:
    with _damage_is_marked(outbox):
        for face_id, key, sha256, state, reason, captured_at, settled_at in rows:
            at = datetime.fromtimestamp(captured_at, timezone.utc)
            answered = None if settled_at is None else datetime.fromtimestamp(settled_at, timezone.utc)
            yield LedgerEntry(FaceId.parse(face_id), key, sha256, state, reason, at, answered)


@contextmanager
def _damage_is_marked(outbox: Outbox) -> Iterator[None]:
    """Mark the outbox as damaged if a row contains what no program wrote."""
    try:
        yield
    except (MessageError, ValueError, TypeError, OverflowError) as error:
        mark_damaged(outbox.path)
        raise OutboxDamagedError(
            f"outbox {outbox.path}: a row is damaged: {error}; the next start recovers the readable faces"
        ) from error
