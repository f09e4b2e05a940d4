"""Detect an outbox file that went back in time, and begin a new incarnation of it.

A restored copy would give numbers again that the cloud already has. The record `<outbox>.seen` beside the file names
the last number. It is written after each commit and not synchronised: after a power cut it is older than the file,
never newer. Only a restored file is older than its record.
"""

import json
import logging
import os
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from face_app.common.ledger_file import check_pattern, check_sequence
from face_app.edge.outbox.schema import transaction

log = logging.getLogger(__name__)

RECORD_BYTES = 4096
"""Bytes of the record. It is padded: a shorter record must not leave the end of a longer one."""
RECORDED_OPENINGS = 64
"""Maximum number of openings in the record, the latest ones."""


@dataclass(frozen=True)
class Seen:
    """Contains what the record says of the outbox.

    Attributes:
        id: Id of the outbox.
        sequence: Last number that was given.
        openings: Token and first number of the latest openings, in ascending order.
    """

    id: str
    sequence: int
    openings: tuple[tuple[str, int], ...]


def seen_path(path: Path) -> Path:
    """Return the path of the record beside an outbox."""
    return path.with_name(f"{path.name}.seen")


def read(path: Path) -> Seen | None:
    """Return the record beside an outbox; None if it is missing or incomplete."""
    try:
        with open(seen_path(path), "rb", opener=_open_at_once) as file:
            document = json.loads(file.read(2 * RECORD_BYTES))
        openings = tuple(
            (check_pattern("[0-9a-f]{16}", token), check_sequence(first)) for token, first in document["openings"]
        )
        return Seen(check_pattern("[0-9a-f]{8}", document["id"]), check_sequence(document["sequence"]), openings)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        log.warning("%s is ignored: %s", seen_path(path), error)
        return None


def is_spoilt(path: Path) -> bool:
    """Return True if the record beside an outbox can be read, and is incomplete."""
    record = seen_path(path)
    return record.is_file() and os.access(record, os.R_OK) and read(path) is None


def write(path: Path, seen: Seen, *, sync: bool = False) -> None:
    """Replace the record in place. A failure is logged: the outbox itself is complete without it."""
    document = {"id": seen.id, "sequence": seen.sequence, "openings": seen.openings[-RECORDED_OPENINGS:]}
    data = json.dumps(document, separators=(",", ":")).encode().ljust(RECORD_BYTES)
    try:
        file = _open_at_once(seen_path(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
        try:
            os.pwrite(file, data, 0)
            if sync:
                os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        log.warning("%s is not written: %s", seen_path(path), error)


def _open_at_once(path: str | Path, flags: int) -> int:
    """Open a file; a pipe of that name must not block the outbox."""
    return os.open(path, flags | os.O_NONBLOCK, 0o600)


def state(connection: sqlite3.Connection) -> Seen:
    """Return what the file says of itself."""
    own, sequence = _numbered(connection)
    query = "SELECT token, first FROM openings WHERE outbox = ? ORDER BY first DESC LIMIT ?"
    latest = connection.execute(query, (own, RECORDED_OPENINGS)).fetchall()
    return Seen(own, sequence, tuple(reversed(latest)))


def introduce(connection: sqlite3.Connection, path: Path) -> None:
    """Record an outbox that the record does not name yet, before it gives a number."""
    seen, current = read(path), state(connection)
    if seen is None or seen.id != current.id:
        write(path, current, sync=True)


def went_back(connection: sqlite3.Connection, seen: Seen) -> bool:
    """Return True if the file is older than the record beside it."""
    own, sequence = _numbered(connection)
    if own != seen.id:
        # A new or a recovered outbox knows the recorded one, or has given no number yet.
        return sequence > 0 and not connection.execute("SELECT 1 FROM former WHERE id = ?", (seen.id,)).fetchall()
    if sequence < seen.sequence:
        return True
    if not seen.openings:
        return False
    listed = dict(connection.execute("SELECT token, first FROM openings WHERE outbox = ?", (own,)).fetchall())
    token, first = seen.openings[-1]
    # The earliest openings are pruned.
    return token not in listed and first >= min(listed.values(), default=0)


def begin(connection: sqlite3.Connection, path: Path, seen: Seen) -> None:
    """Give the outbox a new id. Its faces retain theirs, and no number is given twice."""
    with transaction(connection):
        if not went_back(connection, seen):
            return  # another process was faster
        own, sequence = _numbered(connection)
        last = max(sequence, seen.sequence) if seen.id == own else sequence
        new = secrets.token_hex(4)
        connection.execute("INSERT OR REPLACE INTO former VALUES (?, ?)", (own, last))
        if seen.id == own:
            connection.executemany(
                "INSERT OR IGNORE INTO openings VALUES (?, ?, ?)", [(own, *each) for each in seen.openings]
            )
        else:
            connection.execute("INSERT OR IGNORE INTO former VALUES (?, ?)", (seen.id, seen.sequence))
        connection.execute("UPDATE outbox SET id = ?, sequence = 0", (new,))
    write(path, state(connection), sync=True)
    log.error(
        "outbox %s is an older copy of itself: it ends at number %d, and %d was given. It continues as outbox %s; run "
        "`face-app audit` with this edge's ledger to list missing faces",
        *(path, sequence, seen.sequence, new),
    )


def _numbered(connection: sqlite3.Connection) -> tuple[str, int]:
    ((own, sequence),) = connection.execute("SELECT id, sequence FROM outbox").fetchall()
    return own, sequence
