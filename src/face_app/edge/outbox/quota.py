"""How much an outbox may hold, and what happens to its faces when it is full."""

import logging
import os
import sqlite3
import time
from pathlib import Path

from face_app.common.errors import OutboxFullError, OutboxUnavailableError
from face_app.common.settings import OutboxFile
from face_app.edge import metrics

log = logging.getLogger(__name__)

PAGE = 4096
"""Bytes of a page; SQLite's default."""
RESERVE = 8 * 1024 * 1024
"""Bytes of free disk that new faces leave alone, or a full disk could not note that faces are stored and never
empty itself. Twice what SQLite's log grows to between two checkpoints (1,000 pages)."""
PAGES_A_FACE = 6
"""Beyond those of its image, at most: ends of pages, its row, its places in the indexes."""
ALARMS = (0.7, 0.9)
"""Parts of the budget at whose crossing we speak up."""
_ORDER = {"drop-oldest": "row", "drop-lowest-score": "score, row"}


class Quota:
    """The budget of one outbox. The caller holds the outbox's lock."""

    def __init__(self, settings: OutboxFile, path: Path) -> None:
        self._most = settings.max_bytes // PAGE
        self._rule = settings.when_full
        self._path = path
        self._level = 0

    def fullness(self, connection: sqlite3.Connection) -> float:
        """How much of the budget is used; 1 is all of it."""
        return self._used(connection) / self._most

    def admit(self, connection: sqlite3.Connection, size: int, faces: int) -> None:
        """See whether there is room for `faces` new faces of `size` bytes in all.

        Raises:
            OutboxFullError: The faces that wait take all that they may, and the rule is to stop.
            OutboxUnavailableError: The disk has none, and the rule is to stop.
        """
        if self._rule != "stop":
            return
        needed = size // PAGE + PAGES_A_FACE * faces
        if self._used(connection) + needed > self._most:
            raise OutboxFullError(
                f"outbox {self._path} is full ({self._most * PAGE >> 20} MiB): see why faces wait, "
                "raise outbox.max_bytes, or set outbox.when_full to drop some"
            )
        if self._disk_is_short() and _free(connection) < needed:
            raise OutboxUnavailableError(
                f"outbox {self._path}: less than {RESERVE >> 20} MiB free; make room on its disk"
            )

    def keep(self, connection: sqlite3.Connection) -> None:
        """Within the transaction of new faces: drop by the rule what is too much, and count it."""
        if self._rule != "stop":
            while self._used(connection) > self._most or (self._disk_is_short() and not _free(connection)):
                if not self._drop(connection):
                    break
        self._tell(self.fullness(connection))

    def _drop(self, connection: sqlite3.Connection) -> bool:
        # Of a refused face the cloud holds a copy, so those go first.
        for state in ("refused", "waiting"):
            dropped = connection.execute(
                "UPDATE faces SET state = 'expired', reason = ?, settled_at = ? WHERE row ="
                f" (SELECT row FROM faces WHERE state = '{state}' ORDER BY {_ORDER[self._rule]} LIMIT 1) RETURNING row",
                (self._rule, time.time()),
            ).fetchall()
            if dropped:
                connection.executemany("DELETE FROM pixels WHERE row = ?", dropped)
                metrics.EXPIRED.labels(self._rule).inc()
                return True
        return False

    def _tell(self, fullness: float) -> None:
        level = sum(fullness >= alarm for alarm in ALARMS)
        if level > self._level:
            log.warning("outbox %s: %.0f %% of outbox.max_bytes is used", self._path, fullness * 100)
        self._level = level

    def _used(self, connection: sqlite3.Connection) -> int:
        ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
        return int(pages) - _free(connection)

    def _disk_is_short(self) -> bool:
        return free_bytes(self._path) < RESERVE


def free_bytes(path: Path) -> int:
    """Bytes that a program without privileges may still write to the disk of a file."""
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize


def _free(connection: sqlite3.Connection) -> int:
    ((free,),) = connection.execute("PRAGMA freelist_count").fetchall()
    return int(free)


BALLAST = 4 * 1024 * 1024
"""Bytes: what SQLite's log grows to before it goes into the file (1,000 pages)."""


def ballast_path(outbox: Path) -> Path:
    """Name the ballast of an outbox."""
    return outbox.with_name(f"{outbox.name}.ballast")


def create_ballast(outbox: Path) -> None:
    """Take it aboard, where there is none and the disk has room to spare."""
    file = ballast_path(outbox)
    if file.exists() or free_bytes(outbox) < BALLAST + 2 * RESERVE:
        return
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(handle, 0, BALLAST)
    except OSError:  # room went in between, or this file system cannot promise any
        file.unlink(missing_ok=True)
    finally:
        os.close(handle)


def release_ballast(outbox: Path) -> bool:
    """Throw it off; False where there is none."""
    try:
        ballast_path(outbox).unlink()
    except FileNotFoundError:
        return False
    return True
