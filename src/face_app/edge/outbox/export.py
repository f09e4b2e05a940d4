"""What an outbox knows of its faces, for the audit."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from sqlite3 import Connection

from face_app.common.ledger_file import EdgeLedger, LedgerEntry
from face_app.common.wire import FaceId
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.records import Visit
from face_app.edge.outbox.schema import VISIT


@contextmanager
def export_ledger(outbox: Outbox, edge: str) -> Iterator[EdgeLedger]:
    """Give the ledger of one outbox as it is at one moment; its faces are read as they are asked for.

    Args:
        outbox: Whose faces.
        edge: Whose outbox.

    Raises:
        OutboxError: It cannot be read.
    """
    with outbox.snapshot() as snapshot:
        ((own, last, pruned_to),) = snapshot.execute("SELECT id, sequence, pruned_to FROM outbox").fetchall()
        former = dict(snapshot.execute("SELECT id, sequence FROM former").fetchall())
        # The latest face that was dropped may share its moment with one that was not.
        since = None if pruned_to is None else datetime.fromtimestamp(pruned_to + 1e-6, timezone.utc)
        yield EdgeLedger(edge, {**former, own: last}, since, _entries(snapshot))


def _entries(snapshot: Connection) -> Iterator[LedgerEntry]:
    query = "SELECT id, key, sha256, state, reason, captured_at FROM faces ORDER BY row"
    for face_id, key, sha256, state, reason, captured_at in snapshot.execute(query):
        at = datetime.fromtimestamp(captured_at, timezone.utc)
        yield LedgerEntry(FaceId.parse(face_id), key, sha256, state, reason, at)


def export_visits(outbox: Outbox) -> Iterator[Visit]:
    """Give the visits that an outbox knows, the earliest first.

    Raises:
        OutboxError: They cannot be read.
    """
    with outbox.snapshot() as snapshot:
        for camera, track, first_at, last_at, *rest in snapshot.execute(f"SELECT {VISIT} FROM visits ORDER BY row"):
            first, last = datetime.fromtimestamp(first_at, timezone.utc), datetime.fromtimestamp(last_at, timezone.utc)
            yield Visit(camera, track, first, last, *rest)
