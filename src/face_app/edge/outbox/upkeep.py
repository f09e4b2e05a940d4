"""Release the unused space of an outbox to its disk: free pages, and the write-ahead log."""

import logging
import sqlite3
import time
from pathlib import Path

from face_app.edge.outbox.blocked import RECEIPT_PAGES, blocked_message, has_room, merge_bytes, reset_log
from face_app.edge.outbox.disk import RESERVE, free_disk_bytes
from face_app.edge.outbox.pruning import ROWS, prune

log = logging.getLogger(__name__)

SPARE_PAGES = 2048
"""Number of free pages that stay in the file for the next faces. Pages are released to the disk if more than these, and
more than half of the file, are free."""
VACUUM_PAGES = 1000
"""Number of pages released at a time; this delays a commit by about 50 ms."""

SCRUB_SECONDS = 60.0
"""Seconds between two cuts of the write-ahead log, which contains pixels that were deleted from the file. After the
erasure of a face it is cut at once. A program that reads the outbox delays both."""

PRUNED_PAGES = RECEIPT_PAGES * ROWS // 4
"""Number of pages that one prune changes. Successive rows are pruned, which share pages."""


class Upkeep:
    """Releases unused space in small steps. The caller must own the lock of the outbox."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._warned = False
        self._scrub_at = 0.0  # an earlier run that was killed may have left deleted pixels

    def scrub_soon(self) -> None:
        """Let the next `scrub` cut the log."""
        self._scrub_at = 0.0

    def scrub(self, connection: sqlite3.Connection) -> None:
        """Remove deleted pixels from the log periodically; `secure_delete` overwrites those in the file.

        On a full disk it waits: the ballast is for receipts. Call this outside a transaction.
        """
        if time.monotonic() < self._scrub_at or free_disk_bytes(self._path) < merge_bytes(connection, self._path):
            return
        if reset_log(connection, self._path, longest=0):
            self._scrub_at = time.monotonic() + SCRUB_SECONDS

    def release_space(self, connection: sqlite3.Connection) -> None:
        """Release some free pages, unless that could fill the disk. Call this outside a transaction."""
        if not has_room(connection, self._path, VACUUM_PAGES, RESERVE):
            return
        ((free,),) = connection.execute("PRAGMA freelist_count").fetchall()
        ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
        if free > max(SPARE_PAGES, pages // 2):
            # `execute` would stop after the first page.
            connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")

    def cut_log(self, connection: sqlite3.Connection) -> None:
        """Merge a long log into the file and cut it; warn once if it remains. Call this outside a transaction."""
        if reset_log(connection, self._path):
            self._warned = False
        elif not self._warned:
            self._warned = True
            log.warning("%s", blocked_message(self._path))

    def prune(self, connection: sqlite3.Connection, seconds: float) -> None:
        """Prune what got its receipt so many seconds ago, unless that could fill the disk."""
        if has_room(connection, self._path, PRUNED_PAGES, RESERVE):
            prune(connection, seconds)
