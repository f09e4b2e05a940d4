"""A file that is thrown off when the disk is full to its last byte.

Even to open an outbox, and to note that faces are stored, SQLite needs some room.
"""

import os
from pathlib import Path

from face_app.edge.budget import RESERVE, free_bytes

BALLAST = 4 * 1024 * 1024
"""Bytes: what SQLite's log grows to before it goes into the file (1,000 pages)."""


def ballast_of(outbox: Path) -> Path:
    """Name the ballast of an outbox."""
    return outbox.with_name(f"{outbox.name}.ballast")


def take_ballast(outbox: Path) -> None:
    """Take it aboard, where there is none and the disk has room to spare."""
    file = ballast_of(outbox)
    if file.exists() or free_bytes(outbox) < BALLAST + 2 * RESERVE:
        return
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(handle, 0, BALLAST)
    except OSError:  # room went in between, or this file system cannot promise any
        file.unlink(missing_ok=True)
    finally:
        os.close(handle)


def throw_ballast(outbox: Path) -> bool:
    """Throw it off; False where there is none."""
    try:
        ballast_of(outbox).unlink()
    except FileNotFoundError:
        return False
    return True
