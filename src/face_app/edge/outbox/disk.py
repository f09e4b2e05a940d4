"""Measure the free space of an outbox's disk, and occupy a part of it with a ballast file.

The ballast is room for receipts: on a full disk it is deleted, so that SQLite can write them; see `quota`.
"""

import os
from contextlib import suppress
from pathlib import Path

BALLAST = 4 * 1024 * 1024
"""Bytes of the ballast file: the size of SQLite's write-ahead log between two checkpoints (1,000 pages)."""
RESERVE = 2 * BALLAST
"""Bytes of free disk space that new faces must not use, so that receipts can still be applied."""
AMPLE = BALLAST + 2 * RESERVE
"""Bytes of free disk space from which a ballast is created: faces still find as much again as their reserve."""


def free_disk_bytes(path: Path) -> int:
    """Return the bytes that this user can still write to the disk of a file."""
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize


def ballast_path(outbox: Path) -> Path:
    """Return the path of an outbox's ballast file."""
    return outbox.with_name(f"{outbox.name}.ballast")


def ballast_bytes(outbox: Path) -> int:
    """Return the bytes of an outbox's ballast file, 0 if it has none."""
    try:
        return ballast_path(outbox).stat().st_size
    except FileNotFoundError:
        return 0


def create_ballast(outbox: Path) -> None:
    """Create the ballast file, or complete it, if the disk has ample room; an outbox works without one too."""
    file = ballast_path(outbox)
    if ballast_bytes(outbox) >= BALLAST or free_disk_bytes(outbox) < AMPLE:
        return
    try:
        # O_NONBLOCK: a pipe in its place would block the program.
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        try:
            os.posix_fallocate(handle, 0, BALLAST)
        finally:
            os.close(handle)
    except OSError:  # the disk has filled up since, or the file system cannot reserve space
        with suppress(OSError):
            file.unlink(missing_ok=True)


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
