"""Limit the size of an outbox, evict faces from a full outbox, and reserve disk space for receipts.

Two reserves let a full disk recover without an operator. `RESERVE` is free space that new faces do not use. The ballast
is a file whose space no other program can use. If the disk is full, the ballast is deleted: then SQLite can write the
write-ahead log that applies receipts, and the receipts free more space.
"""

import logging
import sqlite3
from pathlib import Path

from face_app.common.errors import OutboxFullError, OutboxUnavailableError
from face_app.common.settings import OutboxFile
from face_app.edge.outbox.blocked import RECEIPT_PAGES, blocked_message, check_room, merge_bytes, reset_log
from face_app.edge.outbox.disk import RESERVE, free_disk_bytes
from face_app.edge.outbox.page_size import PAGE
from face_app.edge.outbox.pruning import expire, make_room
from face_app.edge.outbox.schema import WAL_BYTES, transaction
from face_app.edge.outbox.wal import FRAME, wal_bytes

log = logging.getLogger(__name__)

PAGES_PER_FACE = 6
"""Maximum number of pages of a face besides its image: partly filled pages, the row, the index entries."""
WARNING_LEVELS = (0.7, 0.9)
"""Fractions of the quota at which a warning is logged, once each time the outbox grows beyond one."""
_EVICTION_ORDER = {"drop-oldest": "row", "drop-lowest-score": "score, row"}


class Quota:
    """Applies `outbox.max_bytes` and `outbox.when_full`. The caller must own the lock of the outbox."""

    def __init__(self, settings: OutboxFile, path: Path) -> None:
        self._max_bytes = settings.max_bytes
        self._rule = settings.when_full
        self._path = path
        self._level = 0

    def fullness(self, connection: sqlite3.Connection) -> float:
        """Return the used fraction of the quota, 0 to 1: files, and the part of the log that a reader blocks."""
        return min(1.0, (_pixel_bytes(connection) + self._blocked_bytes()) / self._max_bytes)

    def admit(self, connection: sqlite3.Connection, size: int, faces: int) -> None:
        """Refuse new faces if there is no room for them; prune the ledger first.

        Only a log that a reader blocks refuses faces by every rule: without a reset, an eviction makes it longer.

        Args:
            connection: Connection of the outbox, outside a transaction.
            size: Bytes of all images together.
            faces: Number of new faces.

        Raises:
            OutboxFullError: The faces would exceed `outbox.max_bytes`.
            OutboxUnavailableError: The disk has no room for them, or a reader blocks the log.
        """
        needed = size // PAGE + PAGES_PER_FACE * faces
        self._bound_log(connection, size, needed, faces)
        if self._file_is_large(connection, needed) or self._disk_is_full(connection, needed):
            with transaction(connection):
                make_room(connection)
        if self._rule != "stop" or not faces:
            return
        if _pixel_bytes(connection) + size > self._max_bytes:
            raise OutboxFullError(
                f"outbox {self._path} is full ({self._max_bytes >> 20} MiB): check why faces wait, "
                "raise outbox.max_bytes, or set outbox.when_full to drop some"
            )
        if self._disk_is_full(connection, needed):
            raise OutboxUnavailableError(
                f"outbox {self._path}: less than {RESERVE >> 20} MiB free; make room on its disk"
            )

    def _bound_log(self, connection: sqlite3.Connection, size: int, needed: int, faces: int) -> None:
        if not self._blocked_bytes():
            return
        ((waiting,),) = connection.execute("SELECT count(*) FROM faces WHERE state = 'waiting'").fetchall()
        check_room(connection, self._path, needed, RESERVE + RECEIPT_PAGES * FRAME * (waiting + faces))
        pixels = _pixel_bytes(connection) if self._rule == "stop" else 0
        exceeded = pixels + size <= self._max_bytes < pixels + size + self._blocked_bytes()
        if exceeded and not reset_log(connection, self._path):
            raise OutboxFullError(blocked_message(self._path))

    def check_receipts(self, connection: sqlite3.Connection, receipts: int) -> None:
        """Refuse receipts if a reader blocks the log, and they would use the room for its merge.

        Raises:
            OutboxUnavailableError: They may be applied later, when the reader has ended.
        """
        check_room(connection, self._path, min(RECEIPT_PAGES * receipts, _used_pages(connection)))

    def evict(self, connection: sqlite3.Connection) -> None:
        """Evict faces by the rule until the others fit. Call this in the transaction that inserts new faces."""
        if self._rule != "stop":
            while self._exceeded(connection) and self._evict_one(connection):
                pass
        self._warn(self.fullness(connection))

    def _exceeded(self, connection: sqlite3.Connection) -> bool:
        if _pixel_bytes(connection) > self._max_bytes:
            return True
        return self._disk_is_full(connection, 1) and not make_room(connection)

    def _file_is_large(self, connection: sqlite3.Connection, needed: int) -> bool:
        return (_used_pages(connection) + needed) * PAGE > self._max_bytes

    def _disk_is_full(self, connection: sqlite3.Connection, needed: int) -> bool:
        # A log that a reader blocks is merged later.
        merge = merge_bytes(connection, self._path) if self._blocked_bytes() else 0
        short = free_disk_bytes(self._path) < RESERVE + merge
        return short and _free_pages(connection) < needed

    def _blocked_bytes(self) -> int:
        """Return the bytes of the write-ahead log beyond its usual size."""
        return max(0, wal_bytes(self._path) - WAL_BYTES)

    def _evict_one(self, connection: sqlite3.Connection) -> bool:
        """Evict one face; return False if no face can be evicted."""
        # Refused faces go first: the cloud has a copy of them in quarantine.
        for state in ("refused", "waiting"):
            rows = f"SELECT row FROM faces WHERE state = '{state}' ORDER BY {_EVICTION_ORDER[self._rule]} LIMIT 1"
            if expire(connection, rows, {}, self._rule):
                return True
        return False

    def _warn(self, fullness: float) -> None:
        level = sum(fullness >= each for each in WARNING_LEVELS)  # number of levels that are reached
        if level > self._level:
            log.warning("outbox %s: %.0f %% of outbox.max_bytes is used", self._path, fullness * 100)
        self._level = level


def _pixel_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes of all files; a damaged sum is no more than the whole outbox."""
    ((size,),) = connection.execute("SELECT pixel_bytes FROM outbox").fetchall()
    return min(max(0, int(size)), _used_pages(connection) * PAGE)


def _used_pages(connection: sqlite3.Connection) -> int:
    ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
    return int(pages) - _free_pages(connection)


def _free_pages(connection: sqlite3.Connection) -> int:
    ((pages,),) = connection.execute("PRAGMA freelist_count").fetchall()
    return int(pages)
