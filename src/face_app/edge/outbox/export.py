"""Export the ledger and the visits of an outbox, for the audit."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from sqlite3 import Connection
from typing import Any

from face_app.common.ledger_file import EdgeLedger, LedgerEntry
from face_app.common.wire import FaceId
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.records import Visit
from face_app.edge.outbox.schema import VISIT_COLUMNS


@contextmanager
def export_ledger(outbox: Outbox, edge: str) -> Iterator[EdgeLedger]:
    """Read the ledger of an outbox in one consistent snapshot; its entries are read lazily.

    Args:
        outbox: An open outbox.
        edge: Name of the edge that owns the outbox.

    Raises:
        OutboxError: The outbox cannot be read.
    """
    with outbox.read_snapshot() as snapshot:
        ((own, last, pruned_to),) = snapshot.execute("SELECT id, sequence, pruned_to FROM outbox").fetchall()
        former = dict(snapshot.execute("SELECT id, sequence FROM former").fetchall())
        # A remaining face may have the same time as the latest pruned one, so the ledger is complete just after it.
        since = None if pruned_to is None else datetime.fromtimestamp(pruned_to + 1e-6, timezone.utc)
        openings = _grouped(snapshot, "SELECT outbox, token, first FROM openings ORDER BY outbox, first")
        pruned = _grouped(snapshot, "SELECT outbox, first, last, reason FROM pruned ORDER BY outbox, first")
        yield EdgeLedger(edge, {**former, own: last}, since, _entries(snapshot), openings, pruned)


def _grouped(snapshot: Connection, query: str) -> dict[str, list[Any]]:
    """Return the rows of a query by their first column, without it."""
    grouped: dict[str, list[Any]] = {}
    for outbox, *rest in snapshot.execute(query):
        grouped.setdefault(outbox, []).append(tuple(rest))
    return grouped


def _entries(snapshot: Connection) -> Iterator[LedgerEntry]:
    query = "SELECT id, key, sha256, state, reason, captured_at, settled_at FROM faces ORDER BY row"
    for face_id, key, sha256, state, reason, captured_at, settled_at in snapshot.execute(query):
        at = datetime.fromtimestamp(captured_at, timezone.utc)
        settled = None if settled_at is None else datetime.fromtimestamp(settled_at, timezone.utc)
        yield LedgerEntry(FaceId.parse(face_id), key, sha256, state, reason, at, settled)


def export_visits(outbox: Outbox) -> Iterator[Visit]:
    """Yield the visits of an outbox in the order of their commit.

    Raises:
        OutboxError: The outbox cannot be read.
    """
    query = f"SELECT {VISIT_COLUMNS} FROM visits ORDER BY row"
    with outbox.read_snapshot() as snapshot:
        for camera, track, first_at, last_at, *rest in snapshot.execute(query):
            first = datetime.fromtimestamp(first_at, timezone.utc)
            last = datetime.fromtimestamp(last_at, timezone.utc)
            yield Visit(camera, track, first, last, *rest)
