"""Limit the size of an outbox, evict faces from a full outbox, and reserve disk space for receipts.

Two reserves let a full disk recover without an operator. `RESERVE` is free space that new faces do not use. The ballast
is a file whose space no other program can use. If the disk is full, the ballast is deleted: then SQLite can write the
write-ahead log that applies receipts, and the receipts free more space.
"""

import logging
import os
import sqlite3
import time
from pathlib import Path

from face_app.common.errors import OutboxFullError, OutboxUnavailableError
from face_app.common.settings import OutboxFile
from face_app.edge import metrics
from face_app.edge.outbox.pruning import make_room
from face_app.edge.outbox.schema import WAL_BYTES, transaction
from face_app.edge.outbox.wal import PAGE, wal_bytes

log = logging.getLogger(__name__)

BALLAST = 4 * 1024 * 1024
"""Bytes of the ballast file: the size of SQLite's write-ahead log between two checkpoints (1,000 pages)."""
RESERVE = 2 * BALLAST
"""Bytes of free disk space that new faces must not use, so that receipts can still be applied."""
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
        """Refuse new faces if the rule is ``stop`` and there is no room for them; prune the ledger first.

        Args:
            connection: Connection of the outbox, outside a transaction.
            size: Bytes of all images together.
            faces: Number of new faces.

        Raises:
            OutboxFullError: The faces would exceed `outbox.max_bytes`.
            OutboxUnavailableError: The disk has no room for them.
        """
        needed = size // PAGE + PAGES_PER_FACE * faces
        if self._file_is_large(connection, needed) or self._disk_is_full(connection, needed):
            with transaction(connection):
                make_room(connection)
        if self._rule != "stop" or not faces:
            return
        if _pixel_bytes(connection) + self._blocked_bytes() + size > self._max_bytes:
            raise OutboxFullError(
                f"outbox {self._path} is full ({self._max_bytes >> 20} MiB): check why faces wait, "
                "raise outbox.max_bytes, or set outbox.when_full to drop some"
            )
        if self._disk_is_full(connection, needed):
            raise OutboxUnavailableError(
                f"outbox {self._path}: less than {RESERVE >> 20} MiB free; make room on its disk"
            )

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
        # The blocked part of the log is merged into the file later, which needs as much room again.
        short = _free_disk_bytes(self._path) < RESERVE + self._blocked_bytes()
        return short and _free_pages(connection) < needed

    def _blocked_bytes(self) -> int:
        """Return the bytes of the write-ahead log beyond its usual size."""
        return max(0, wal_bytes(self._path) - WAL_BYTES)

    def _evict_one(self, connection: sqlite3.Connection) -> bool:
        """Evict one face; return False if no face can be evicted."""
        # Refused faces go first: the cloud has a copy of them in quarantine.
        for state in ("refused", "waiting"):
            evicted = connection.execute(
                "UPDATE faces SET state = 'expired', reason = ?, settled_at = ? WHERE row = (SELECT row FROM faces"
                f" WHERE state = '{state}' ORDER BY {_EVICTION_ORDER[self._rule]} LIMIT 1) RETURNING row",
                (self._rule, time.time()),
            ).fetchall()
            if evicted:
                connection.executemany("DELETE FROM pixels WHERE row = ?", evicted)
                metrics.EXPIRED.labels(self._rule).inc()
                return True
        return False

    def _warn(self, fullness: float) -> None:
        level = sum(fullness >= each for each in WARNING_LEVELS)  # number of levels that are reached
        if level > self._level:
            log.warning("outbox %s: %.0f %% of outbox.max_bytes is used", self._path, fullness * 100)
        self._level = level


def ballast_path(outbox: Path) -> Path:
    """Return the path of an outbox's ballast file."""
    return outbox.with_name(f"{outbox.name}.ballast")


def create_ballast(outbox: Path) -> None:
    """Create the ballast file if it is missing and the disk has ample room."""
    file = ballast_path(outbox)
    if file.exists() or _free_disk_bytes(outbox) < BALLAST + 2 * RESERVE:
        return
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(handle, 0, BALLAST)
    except OSError:  # the disk has filled up since, or the file system cannot reserve space
        file.unlink(missing_ok=True)
    finally:
        os.close(handle)


def release_ballast(outbox: Path) -> bool:
    """Delete the ballast file, so that its space can be used.

    Returns:
        False if there is no ballast file.
    """
    try:
        ballast_path(outbox).unlink()
    except FileNotFoundError:
        return False
    return True


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


def _free_disk_bytes(path: Path) -> int:
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize
