"""Changes the outbox of a camera that is down, as restored copies, disks and cards do."""

import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from faults.world import World

PAGE = 4096
"""Bytes of a page of SQLite, and of a block of a disk."""
PARTS = ("", "-wal")
"""Ends of the names of an outbox's files. SQLite builds the third, `-shm`, again."""

Change = Callable[[Path, random.Random], None]


def damage(change: Change) -> Callable[[World, random.Random], None]:
    """Return an act that stops or kills the camera, changes its outbox, and starts it again.

    The link is cut in half of the acts, so that faces wait and the change costs some.
    """

    def act(world: World, chance: random.Random) -> None:
        camera, outbox = world.cameras[0], world.outboxes[0]
        if chance.random() < 0.5:
            world.cut()
        # A container engine starts a program again that ends.
        if not camera.alive:
            camera.start()
        time.sleep(chance.uniform(1, 2))
        (camera.kill if camera.alive and chance.random() < 0.7 else camera.stop)()
        change(outbox, chance)
        camera.start()
        world.mend()

    return act


def copy_or_restore(world: World, chance: random.Random) -> None:
    """Copy the outbox while the camera runs, through SQLite, file by file, or restore the last copy."""
    outbox = world.outboxes[0]
    if _copy_of(outbox).exists() and chance.random() < 0.6:
        damage(restore_copy)(world, chance)
    elif chance.random() < 0.5:
        _copy_files(outbox)
    else:
        for part in PARTS:
            _copy_of(outbox, part).unlink(missing_ok=True)
        with closing(sqlite3.connect(outbox)) as source, closing(sqlite3.connect(_copy_of(outbox))) as target:
            source.backup(target)


def restore_copy(outbox: Path, _: random.Random) -> None:
    """Replace the outbox by the last copy. Other files of its folder remain."""
    for part in PARTS:
        _file(outbox, part).unlink(missing_ok=True)
        if _copy_of(outbox, part).exists():
            shutil.copyfile(_copy_of(outbox, part), _file(outbox, part))
    _file(outbox, "-shm").unlink(missing_ok=True)


def mix_blocks(outbox: Path, chance: random.Random) -> None:
    """Bring back earlier blocks, as a disk does that lied about a sync and lost its power."""
    if not _copy_of(outbox).exists():
        _copy_files(outbox)
        return
    share = chance.choice([0.05, 0.3, 0.7, 1.0])
    for part in PARTS:
        old, new = _bytes(_copy_of(outbox, part)), bytearray(_bytes(_file(outbox, part)))
        for start in range(0, min(len(old), len(new)), PAGE):
            if chance.random() < share:
                new[start : start + PAGE] = old[start : start + PAGE]
        if part and new and chance.random() < 0.3:
            del new[chance.randrange(len(new)) :]
        _file(outbox, part).write_bytes(new)
    _file(outbox, "-shm").unlink(missing_ok=True)
    _copy_files(outbox)


def damage_pages(outbox: Path, chance: random.Random) -> None:
    """Overwrite bytes of any pages of the outbox or its WAL: a few bytes, a sector, or the whole page."""
    part = chance.choice(PARTS)
    file = bytearray(_bytes(_file(outbox, part)))
    for _ in range(chance.choice([1, 1, 3, 10])):
        if file:
            size = chance.choice([1, 8, 512, PAGE])
            start = chance.randrange(0, len(file), min(size, 512) if size > 8 else 1)
            end = min(start + size, len(file))
            file[start:end] = bytes(end - start) if chance.random() < 0.3 else chance.randbytes(end - start)
    if file:
        _file(outbox, part).write_bytes(file)
        _file(outbox, "-shm").unlink(missing_ok=True)


def _copy_files(outbox: Path) -> None:
    for part in PARTS:
        _copy_of(outbox, part).write_bytes(_bytes(_file(outbox, part)))


def _file(outbox: Path, part: str) -> Path:
    return outbox.with_name(f"{outbox.name}{part}")


def _copy_of(outbox: Path, part: str = "") -> Path:
    """Return the path of the copy of a file, outside the folder of the outbox."""
    return outbox.parents[1] / f"copy.db{part}"


def _bytes(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""
