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
from itertools import islice
from pathlib import Path

from face_app.edge.outbox import incarnation
from face_app.edge.outbox.access import OpenOutbox, damage_mark, exclusive_access, open_outbox, translate_errors
from face_app.edge.outbox.pages import ORDERS, DamagedFile
from face_app.edge.outbox.salvage import Salvage
from face_app.edge.outbox.schema import connect, transaction
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
            if not created.exists():
                _copy_readable(path, created)
            _swap(path, created)
    return open_outbox(path)


def _copy_readable(damaged: Path, created: Path) -> None:
    """Copy every readable row into a new file, which gets its name `created` when it is complete."""
    part = created.with_name(f"{created.name}.part")
    for file in (part, *_sqlite_companions(part)):
        file.unlink(missing_ok=True)
    part.touch(mode=0o600)
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
    log.error(
        "outbox %s is damaged: %d ledger rows recovered; run `face-app audit` with this edge's ledger to list missing "
        "faces",
        *(damaged, copied),
    )
    part.rename(created)


def _in_batches(target: sqlite3.Connection, add: Callable[[int], None], numbers: Iterator[int]) -> None:
    while batch := list(islice(numbers, BATCH)):
        with transaction(target):
            for number in batch:
                add(number)


def _swap(path: Path, created: Path) -> None:
    """Set the damaged file aside, and give its name to the new file."""
    # The name contains the time of the new file, so that a second attempt continues under the same name.
    created_at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(created.stat().st_mtime))
    aside = path.with_name(f"{path.name}.damaged-{created_at}")
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


def _sqlite_companions(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
