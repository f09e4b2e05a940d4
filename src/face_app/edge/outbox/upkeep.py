"""Release the unused space of an outbox to its disk: free pages, and the write-ahead log."""

import logging
import sqlite3
from pathlib import Path

from face_app.edge.outbox.schema import BUSY_SECONDS, WAL_BYTES
from face_app.edge.outbox.wal import wal_bytes

log = logging.getLogger(__name__)

SPARE_PAGES = 2048
"""Number of free pages that stay in the file for the next faces. Pages are released to the disk if more than these, and
more than half of the file, are free."""
VACUUM_PAGES = 1000
"""Number of pages released at a time; this delays a commit by about 50 ms."""


class Upkeep:
    """Releases unused space in small steps. The caller must own the lock of the outbox."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._warned = False

    def release_space(self, connection: sqlite3.Connection) -> None:
        """Cut the write-ahead log, and release some free pages. Call this outside a transaction."""
        self._reset_log(connection)
        ((free,),) = connection.execute("PRAGMA freelist_count").fetchall()
        ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
        if free > max(SPARE_PAGES, pages // 2):
            # `execute` would stop after the first page.
            connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")

    def _reset_log(self, connection: sqlite3.Connection) -> None:
        """Merge a long log into the file and cut it, unless another program reads the outbox."""
        size = wal_bytes(self._path)
        if size <= WAL_BYTES:
            self._warned = False
            return
        # With the time-out of a commit, this would block every commit until the reader ends.
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            ((busy, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.OperationalError:  # there is no room for the pages of the log: it remains
            busy = 1
        finally:
            connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
        if busy and not self._warned:
            self._warned = True
            log.warning(
                "outbox %s: its write-ahead log has %d MiB and cannot be cut; end other programs that read the outbox, "
                "and make room on its disk",
                *(self._path, size >> 20),
            )
