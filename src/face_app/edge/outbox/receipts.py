"""Apply a receipt to the faces of an outbox."""

import sqlite3
import time

from face_app.common.wire import Receipt

_CHANGES = {
    "stored": "state = 'stored', reason = '', settled_at = :now WHERE state IN ('waiting', 'refused', 'expired')",
    "refused": "state = 'refused', reason = :reason, settled_at = :now WHERE state = 'waiting'",
    # A stored face too: it was erased in the bucket, and then sent again because its first receipt was late.
    "erased": "state = 'erased', reason = '', settled_at = :now WHERE state <> 'erased'",
}
"""Change of the state by the result of a receipt."""


def apply_receipt(connection: sqlite3.Connection, receipt: Receipt) -> list[int]:
    """Apply one receipt in a transaction; return the rows of the faces that changed their state.

    Only a ``stored`` or ``erased`` receipt with the id and the hash of a face deletes the pixels of the face.
    """
    final = receipt.result != "refused"
    if final and receipt.id is None:
        return []
    values = {"now": time.time(), "reason": receipt.reason, "sha256": receipt.sha256, "id": str(receipt.id)}
    query = f"UPDATE faces SET {_CHANGES[receipt.result]} AND sha256 = :sha256"
    if receipt.id is not None:
        query += " AND id = :id"
    rows = connection.execute(f"{query} RETURNING row", values).fetchall()
    if final:
        connection.executemany("DELETE FROM pixels WHERE row = ?", rows)
    return [row for (row,) in rows]
