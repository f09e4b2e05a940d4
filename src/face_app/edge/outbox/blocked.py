"""Bound a write-ahead log that a reader blocks, so that the disk has room for its merge into the file.

SQLite cannot reset the log while another program reads an older state, so every commit makes it longer. If it filled
the disk, neither a receipt nor the merge would have room, also after the end of the reader.
"""

import os
import sqlite3
from pathlib import Path

from face_app.common.errors import OutboxUnavailableError
from face_app.edge.outbox.disk import ballast_bytes, free_disk_bytes, release_ballast
from face_app.edge.outbox.page_size import PAGE
from face_app.edge.outbox.schema import BUSY_SECONDS, WAL_BYTES
from face_app.edge.outbox.wal import FRAME, wal_bytes

RECEIPT_PAGES = 8
"""Number of pages that one receipt changes: the row, four index entries, the image, the list of free pages, the sum."""
_READ_LOCKS = range(123, 128)
"""Offsets of the locks in the index of the log (`-shm`) that readers own; source: https://www.sqlite.org/walformat.html."""


def check_room(connection: sqlite3.Connection, path: Path, pages: int, reserve: int = 0) -> None:
    """Check before a commit that a log which cannot be reset leaves room for its merge.

    Call this outside a transaction.

    Args:
        connection: Connection of the outbox.
        path: Path of the outbox.
        pages: Maximum number of pages that the commit changes.
        reserve: Bytes that must be free after the commit, besides those for the merge.

    Raises:
        OutboxUnavailableError: There would be too little room.
    """
    if not has_room(connection, path, pages, reserve) and not reset_log(connection, path):
        raise OutboxUnavailableError(blocked_message(path))


def has_room(connection: sqlite3.Connection, path: Path, pages: int, reserve: int) -> bool:
    """Return True if the log is short, or the disk has room for a commit and for a merge after it."""
    if wal_bytes(path) <= WAL_BYTES:
        return True
    free, commit = free_disk_bytes(path), pages * FRAME + reserve
    merge = merge_bytes(connection, path) + pages * PAGE
    # The start of a program and the merge release the ballast if they need it; a commit leaves it to them.
    return free >= commit and free + ballast_bytes(path) >= commit + merge


def merge_bytes(connection: sqlite3.Connection, path: Path) -> int:
    """Return the number of bytes by which a merge of the log makes the file larger."""
    ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
    return max(0, int(pages) * PAGE - path.stat().st_size)


def reset_log(connection: sqlite3.Connection, path: Path, *, longest: int = WAL_BYTES) -> bool:
    """Merge a log of more than `longest` bytes into the file and cut it; release the ballast if that needs its room.

    Returns:
        False if it remains, because another program reads the outbox, or the disk is full.
    """
    if wal_bytes(path) <= longest:
        return True
    try:
        return _truncate(connection)
    except sqlite3.OperationalError:  # there is no room for the pages of the log
        if not release_ballast(path):
            return False
    try:
        return _truncate(connection)
    except sqlite3.OperationalError:
        return False


def _truncate(connection: sqlite3.Connection) -> bool:
    # With the time-out of a commit, this would block every commit until the reader ends.
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        ((busy, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return not busy
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")


def blocked_message(path: Path) -> str:
    """Return what to change so that a long log can be reset."""
    readers = ", ".join(map(str, sorted(_readers(path))))
    which = f" (process {readers})" if readers else ""
    return (
        f"outbox {path}: its write-ahead log has {wal_bytes(path) >> 20} MiB and cannot be cut; stop other programs "
        f"that read the outbox{which}, and make room on its disk"
    )


def _readers(path: Path) -> set[int]:
    """Return the ids of other processes with a read transaction; none if the system does not list them."""
    try:
        index = path.with_name(f"{path.name}-shm").stat()
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return set()
    file = f"{os.major(index.st_dev):02x}:{os.minor(index.st_dev):02x}:{index.st_ino}"
    # 1: POSIX  ADVISORY  READ 4711 08:02:1234 124 124; a process outside this container has the id 0.
    locks = (line.split() for line in lines if f" {file} " in line)
    found = {int(lock[-4]) for lock in locks if lock[-2].isdigit() and int(lock[-2]) in _READ_LOCKS}
    return found - {0, -1, os.getpid()}
