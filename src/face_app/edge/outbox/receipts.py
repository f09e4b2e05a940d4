"""Apply a receipt to the faces of an outbox."""

import sqlite3
import time

from face_app.common.wire import Receipt


def apply_receipt(connection: sqlite3.Connection, receipt: Receipt) -> list[int]:
    """Apply one receipt in a transaction; return the rows of the faces that changed their state.

    Only a ``stored`` receipt with the id and the hash of a face deletes the pixels of the face.
    """
    values = {"now": time.time(), "reason": receipt.reason, "sha256": receipt.sha256, "id": str(receipt.id)}
    if receipt.result == "refused":
        query = "UPDATE faces SET state = 'refused', reason = :reason, settled_at = :now WHERE state = 'waiting'"
    else:
        query = "UPDATE faces SET state = 'stored', reason = '', settled_at = :now"
        query += " WHERE state IN ('waiting', 'refused', 'expired')"
    query += " AND sha256 = :sha256"
    if receipt.id is not None:
        query += " AND id = :id"
    elif receipt.result == "stored":
        return []
    rows = connection.execute(f"{query} RETURNING row", values).fetchall()
    if receipt.result == "stored":
        connection.executemany("DELETE FROM pixels WHERE row = ?", rows)
    return [row for (row,) in rows]
