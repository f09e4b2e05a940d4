"""Prune the ledger: rows of faces with a receipt, by age, or earlier if a face needs their room."""

import sqlite3
import time

from face_app.common.wire import FaceId
from face_app.edge import metrics
from face_app.edge.outbox.schema import transaction

ROWS = 1000
"""Maximum number of rows pruned at a time."""
REFUSED_SECONDS = 30 * 86400.0
"""Minimum seconds for which a refused face retains its pixels: an operator may remove the cause and retry it."""
REFUSED = "refused"
"""Reason of faces that expired because the cloud refused them and no operator retried them in time."""


def prune(connection: sqlite3.Connection, seconds: float) -> None:
    """Prune what got its receipt so many seconds ago, at most `ROWS` rows of each kind; a waiting face is never pruned.

    Refused faces lose their pixels and expire first. Call this outside a transaction.
    """
    now = time.time()
    limits = {"before": now - seconds, "refused": now - max(seconds, REFUSED_SECONDS), "limit": ROWS}
    visits = "SELECT row FROM visits WHERE last_at < :before LIMIT :limit"
    # Select first: even a DELETE of no row locks the file for every other process.
    if connection.execute(visits, limits).fetchone():
        connection.execute(f"DELETE FROM visits WHERE row IN ({visits})", limits)
    refused, expired, stored = (
        f"SELECT row FROM faces WHERE state = '{state}' AND settled_at < :{limit} LIMIT :limit"
        for state, limit in (("refused", "refused"), ("expired", "before"), ("stored", "before"))
    )
    if not any(connection.execute(query, limits).fetchone() for query in (refused, expired, stored)):
        return
    with transaction(connection):
        _prune_rows(connection, expired, limits)
        expire(connection, refused, limits, REFUSED)
        _prune_rows(connection, stored, limits)
        _prune_openings(connection)


def make_room(connection: sqlite3.Connection) -> bool:
    """Prune the oldest stored faces whatever their age. Call this in a transaction.

    Returns:
        False if there is none.
    """
    stored = "SELECT row FROM faces WHERE state = 'stored' ORDER BY settled_at LIMIT :limit"
    return _prune_rows(connection, stored, {"limit": ROWS})


def _prune_rows(connection: sqlite3.Connection, rows: str, values: dict[str, float]) -> bool:
    """Delete ledger rows; note the numbers of expired ones, which have no object in the bucket."""
    deleted = connection.execute(
        f"DELETE FROM faces WHERE row IN ({rows}) RETURNING id, state, reason, captured_at", values
    ).fetchall()
    for face_id, state, reason, _ in sorted(deleted):
        if state == "expired":
            _note(connection, FaceId.parse(face_id), reason)
    if deleted:
        latest = max(captured_at for *_, captured_at in deleted)
        connection.execute("UPDATE outbox SET pruned_to = max(coalesce(pruned_to, 0), ?)", (latest,))
    return bool(deleted)


def _note(connection: sqlite3.Connection, face_id: FaceId, reason: str) -> None:
    """Add a number to the pruned ones; successive numbers with one reason share a row."""
    before = connection.execute(
        "SELECT first, last, reason FROM pruned WHERE outbox = ? AND first <= ? ORDER BY first DESC LIMIT 1",
        (face_id.outbox, face_id.sequence),
    ).fetchall()
    first = before[0][0] if before and before[0][1:] == (face_id.sequence - 1, reason) else face_id.sequence
    row = (face_id.outbox, first, face_id.sequence, reason)
    connection.execute("INSERT OR REPLACE INTO pruned VALUES (?, ?, ?, ?)", row)


def expire(connection: sqlite3.Connection, rows: str, values: dict[str, float], reason: str) -> list[str]:
    """Let faces expire, and delete their pixels. Call this in a transaction.

    Args:
        connection: Connection of the outbox.
        rows: Query of their rows.
        values: Values of the query.
        reason: Reason of the expiry.

    Returns:
        Their ids.
    """
    expired = connection.execute(
        "UPDATE faces SET state = 'expired', reason = :reason, settled_at = :now"
        f" WHERE row IN ({rows}) RETURNING row, id",
        {**values, "reason": reason, "now": time.time()},
    ).fetchall()
    connection.executemany("DELETE FROM pixels WHERE row = ?", [(row,) for row, _ in expired])
    metrics.EXPIRED.labels(reason).inc(len(expired))
    return [face_id for _, face_id in expired]


def _prune_openings(connection: sqlite3.Connection) -> None:
    """Delete the openings before the one that covers the oldest remaining face of an outbox."""
    for (outbox,) in connection.execute("SELECT DISTINCT outbox FROM openings").fetchall():
        ids = (outbox, f"{outbox}g")
        ((oldest,),) = connection.execute("SELECT min(id) FROM faces WHERE id BETWEEN ? AND ?", ids).fetchall()
        covered = "SELECT max(first) FROM openings WHERE outbox = ?"
        values: list[str | int] = [outbox, outbox]
        if oldest is not None:
            covered += " AND first <= ?"
            values.append(FaceId.parse(oldest).sequence)
        connection.execute(f"DELETE FROM openings WHERE outbox = ? AND first < ({covered})", values)
