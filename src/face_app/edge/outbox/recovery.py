"""Recover a damaged outbox: copy every readable row into a new file, then set the damaged file aside.

Recovery may be interrupted after any step; the next start continues it. The new file is complete before the first
damaged file is renamed. The damaged file is never deleted, so the disk needs room for both files.
"""

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from itertools import count, islice
from pathlib import Path

from face_app.common.errors import OutboxDamagedError
from face_app.edge.outbox import incarnation
from face_app.edge.outbox.access import (
    OpenOutbox,
    check_contents,
    damage_mark,
    exclusive_access,
    open_outbox,
    translate_errors,
)
from face_app.edge.outbox.disk import release_ballast
from face_app.edge.outbox.pages import ORDERS, DamagedFile
from face_app.edge.outbox.salvage import Salvage
from face_app.edge.outbox.schema import FORMAT, connect, read_only, transaction
from face_app.edge.outbox.wal import wal_bytes

log = logging.getLogger(__name__)

BATCH = 100
"""Number of pages per commit; a small batch limits the size of SQLite's write-ahead log."""


def recover(path: Path, reason: str) -> OpenOutbox:
    """Replace the damaged outbox at `path` by a new outbox with the readable faces, and open the new one.

    Args:
        path: The damaged outbox.
        reason: Signs of the damage, for the log.

    Raises:
        OutboxUnavailableError: Another process has the damaged outbox open, or the disk is full.
        OutboxError: The folder cannot be written.
    """
    with translate_errors(path), exclusive_access(path):
        created = path.with_name(f"{path.name}.rescued")
        if damage_mark(path).exists():  # otherwise another process has recovered the outbox meanwhile
            log.error("%s; its readable faces are copied into a new file", reason)
            if not _is_intact(created):
                _copy_readable(path, created)
            _swap(path, created)
    return open_outbox(path)


def _is_intact(created: Path) -> bool:
    """Return True if an interrupted recovery has completed the new file, and nothing has damaged it since."""
    if not created.is_file():
        return False
    try:
        with read_only(created) as connection:
            return check_contents(connection, created) == FORMAT
    except (sqlite3.Error, OutboxDamagedError):
        return False


def _copy_readable(damaged: Path, created: Path) -> None:
    """Copy every readable row into a new file, which gets its name `created` when it is complete."""
    part = created.with_name(f"{created.name}.part")
    release_ballast(damaged)
    try:
        _delete(part)
        part.touch(mode=0o600)
        _fill(part, damaged)
        part.rename(created)
    except (OSError, sqlite3.Error):
        _delete(part)  # the disk may be full
        raise


def _delete(part: Path) -> None:
    for file in (part, *_sqlite_companions(part)):
        file.unlink(missing_ok=True)


def _fill(part: Path, damaged: Path) -> None:
    with closing(connect(part)) as target, ExitStack() as files:
        salvage = Salvage(target)
        orders = ORDERS if wal_bytes(damaged) else ORDERS[:1]
        sources = [files.enter_context(DamagedFile(damaged, order)) for order in orders]
        for add in (salvage.add_current_rows, salvage.add_rows, salvage.add_pixels):
            for source in sources:
                _in_batches(target, partial(add, source), source.numbers())
        for source in sources:
            _in_batches(target, partial(salvage.add_pixels, source), source.free_numbers())
        with transaction(target):
            copied = salvage.complete(incarnation.read(damaged))
        # Only the file gets the new name, and the merge at the end of a connection is silent about a full disk.
        target.execute("PRAGMA journal_mode = DELETE")
    log.error(
        "outbox %s is damaged: %d ledger rows recovered; run `face-app audit` with this edge's ledger to list missing "
        "faces",
        *(damaged, copied),
    )


def _in_batches(target: sqlite3.Connection, add: Callable[[int], None], numbers: Iterator[int]) -> None:
    while batch := list(islice(numbers, BATCH)):
        with transaction(target):
            for number in batch:
                add(number)


def _swap(path: Path, created: Path) -> None:
    """Set the damaged file aside, and give its name to the new file."""
    aside = _aside(path, created.stat().st_mtime)
    # The companions go first: SQLite would apply a `-wal` file of the damaged outbox to the new one.
    for before, after in zip((*_sqlite_companions(path), path), (*_sqlite_companions(aside), aside), strict=True):
        if before.exists():
            before.rename(after)
    created.rename(path)
    damage_mark(path).unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    log.error("the damaged outbox is now %s; delete it when its faces are no longer needed", aside)


def _aside(path: Path, created_at: float) -> Path:
    """Return the future path of the damaged file.

    Its name contains the time of the new file, so that a second attempt continues under the same name; or a later
    second, if an earlier recovery has used that name.
    """
    moments = (time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second)) for second in count(int(created_at)))
    names = (path.with_name(f"{path.name}.damaged-{moment}") for moment in moments)
    return next(name for name in names if not (path.exists() and name.exists()))


def _sqlite_companions(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
