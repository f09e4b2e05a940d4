"""What an outbox knows of its faces, for the audit."""

from collections.abc import Iterator
from datetime import datetime, timezone

from face_app.edge.outbox import Outbox
from face_app.ledger import EdgeLedger, LedgerEntry
from face_app.wire import FaceId


def outbox_ledger(outbox: Outbox, edge: str) -> EdgeLedger:
    """Give the ledger of one outbox; its faces are read as they are asked for.

    Args:
        outbox: Stays open until then.
        edge: Whose it is.

    Raises:
        OutboxError: It cannot be read.
    """
    last, pruned_to = outbox.numbers()
    # The latest face that was dropped may share its moment with one that was not.
    since = None if pruned_to is None else datetime.fromtimestamp(pruned_to + 1e-6, timezone.utc)
    return EdgeLedger(edge, last, since, _entries(outbox))


def _entries(outbox: Outbox) -> Iterator[LedgerEntry]:
    for face_id, key, sha256, state, reason, captured_at in outbox.entries():
        at = datetime.fromtimestamp(captured_at, timezone.utc)
        yield LedgerEntry(FaceId.parse(face_id), key, sha256, state, reason, at)
