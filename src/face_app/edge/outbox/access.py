"""Open an outbox file: locks, checks at the start, and the translation of SQLite's errors."""

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from face_app.common.errors import OutboxDamagedError, OutboxError, OutboxUnavailableError
from face_app.edge.outbox import incarnation
from face_app.edge.outbox.schema import FORMAT, check_identity, connect, read_only
from face_app.edge.outbox.wal import hidden_commits, wal_bytes

log = logging.getLogger(__name__)

CHECK_BYTES = 64 * 1024 * 1024
"""Largest file that the first program that opens it reads completely, for damage: a second on a memory card."""
RECOVERY_WAIT = 5.0
"""Maximum seconds to wait for the locks of other programs that are starting too, before a recovery."""

# A part of SQLite's message, the advice, and the error to raise. Python 3.10 does not report SQLite's error codes.
_DAMAGED = "it is damaged; the next start sets it aside and recovers the readable faces"
_TRANSLATIONS: tuple[tuple[str, str, type[OutboxError]], ...] = (
    ("is full", "make room on its disk", OutboxUnavailableError),
    ("disk I/O error", "check its disk, and make room there", OutboxUnavailableError),
    ("is locked", "another program blocks it; stop that program", OutboxUnavailableError),
    ("malformed", _DAMAGED, OutboxDamagedError),
    ("not a database", _DAMAGED, OutboxDamagedError),
    ("unsupported file format", _DAMAGED, OutboxDamagedError),
    ("UNIQUE constraint", _DAMAGED, OutboxDamagedError),
    ("Could not decode", _DAMAGED, OutboxDamagedError),
    ("can't decode", _DAMAGED, OutboxDamagedError),
    ("integer overflow", _DAMAGED, OutboxDamagedError),
    ("no such", _DAMAGED, OutboxDamagedError),
    ("already exists", _DAMAGED, OutboxDamagedError),
    ("duplicate column", _DAMAGED, OutboxDamagedError),
    ("error in trigger", _DAMAGED, OutboxDamagedError),
    ("error in index", _DAMAGED, OutboxDamagedError),
    ("", "set outbox.path to a file that this user may write", OutboxError),
)


@dataclass(frozen=True)
class OpenOutbox:
    """Contains the handles of an open outbox file.

    Attributes:
        connection: Connection that any thread can use.
        id: Id of the outbox, 8 hex digits.
        lock: Descriptor with a shared lock, which delays recovery while the file is open.
    """

    connection: sqlite3.Connection
    id: str
    lock: int

    def close(self, path: Path) -> None:
        """Close the file at `path` and release its lock."""
        close(self.connection, path)
        os.close(self.lock)


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Translate errors of SQLite into an `OutboxError` that names what to change; mark damage for the next start.

    Raises:
        OutboxUnavailableError: A retry can succeed after a wait, or with more room on the disk.
        OutboxDamagedError: The file is damaged.
        OutboxError: A retry fails too.
    """
    try:
        yield
    except OutboxDamagedError:
        mark_damaged(path)
        raise
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the second: Python cannot quote a damaged name of the schema
        _, advice, error_class = next(each for each in _TRANSLATIONS if each[0] in str(error))
        # SQLite reads a damaged version number in the header as a file that it may not write.
        if "readonly" in str(error) and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
            advice, error_class = _DAMAGED, OutboxDamagedError
        if error_class is OutboxDamagedError:
            mark_damaged(path)
        raise error_class(f"outbox {path}: {error}; {advice}") from error
    except OSError as error:
        file = "" if error.filename in {None, path, str(path)} else f"{error.filename}: "
        advice = "set outbox.path to a file that can be written"
        raise OutboxError(f"outbox {path}: {file}{error.strerror}; {advice}") from error


def damage_mark(path: Path) -> Path:
    """Return the path of the file that marks an outbox as damaged: the next start may not read the damaged page."""
    return path.with_name(f"{path.name}.damaged")


def mark_damaged(path: Path) -> None:
    """Mark an outbox as damaged, so that the next start recovers it. The caller reports the damage itself."""
    try:
        damage_mark(path).touch(mode=0o600)
    except OSError as error:
        log.warning("%s is not written: %s", damage_mark(path), error)


def close(connection: sqlite3.Connection, path: Path) -> None:
    """Close a connection. If the file is damaged, the write-ahead log remains as it is, for the recovery."""
    if not damage_mark(path).exists():
        connection.close()
        return
    # The last connection merges the log; this one only reads.
    with read_only(path) as last:
        with suppress(sqlite3.Error):
            last.execute("SELECT count(*) FROM sqlite_master").fetchall()
        connection.close()


@contextmanager
def exclusive_access(path: Path) -> Iterator[None]:
    """Prevent every other process from opening the outbox.

    Raises:
        OutboxUnavailableError: Another process has the outbox open.
    """
    lock = _open_lock_file(path)
    try:
        deadline = time.monotonic() + RECOVERY_WAIT
        while not _locked_exclusively(lock):
            if time.monotonic() > deadline:
                raise OutboxUnavailableError(
                    f"outbox {path} is damaged, and another program uses it: stop every face-app that uses it, then "
                    "start again"
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(lock)


def _open_lock_file(path: Path) -> int:
    return os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _locked_exclusively(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def open_outbox(path: Path) -> OpenOutbox:
    """Open the file, and create it with a new id if it is missing. Several processes may call this concurrently.

    Raises:
        OutboxDamagedError: The file is damaged.
        OutboxError: The file cannot be opened or written, is no outbox, or has a later format.
    """
    with translate_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise OutboxError(f"outbox {path} is no file; set outbox.path to a file")
        lock = _open_lock_file(path)
        try:
            alone = _locked_exclusively(lock)
            if not alone:
                fcntl.flock(lock, fcntl.LOCK_SH)
            if damage_mark(path).exists():
                raise OutboxDamagedError(f"outbox {path} is damaged")
            connection, own_id = _open_checked(path, alone=alone)
            fcntl.flock(lock, fcntl.LOCK_SH)
        except BaseException:
            os.close(lock)
            raise
    return OpenOutbox(connection, own_id, lock)


def _open_checked(path: Path, *, alone: bool) -> tuple[sqlite3.Connection, str]:
    """Open the file; the only program that has it open checks for damage that SQLite overlooks."""
    seen = incarnation.read(path)  # before the file, so that the file is at least as new
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    if alone:
        _check_unopened(path, seen)
    connection = connect(path)
    try:
        if seen and incarnation.went_back(connection, seen):
            incarnation.begin(connection, path, seen)
        ((own_id,),) = connection.execute("SELECT id FROM outbox").fetchall()
        incarnation.introduce(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection, own_id


def _check_unopened(path: Path, seen: incarnation.Seen | None) -> None:
    """Check a file before SQLite writes to it, or merges its write-ahead log.

    Raises:
        OutboxDamagedError: It is damaged, or its log is older than the file.
    """
    log_bytes = wal_bytes(path)
    # A power cut may hide the last commit; without a record of the last number it may as well be a confirmed one.
    if log_bytes and hidden_commits(path) > (0 if seen is None else 1):
        raise OutboxDamagedError(f"outbox {path}: its write-ahead log is damaged")
    # A log that is older than the file hides newer pages, and only the record shows that.
    if log_bytes and incarnation.is_spoilt(path):
        raise OutboxDamagedError(f"outbox {path}: the record beside it is damaged, and its log may be an older one")
    if not path.stat().st_size:
        return
    with read_only(path) as connection:
        check_identity(connection, path)
        went_back = seen is not None and _went_back(connection, seen)
        if went_back and log_bytes:
            raise OutboxDamagedError(f"outbox {path} or its write-ahead log is an older copy of itself")
        if went_back or path.stat().st_size + log_bytes <= CHECK_BYTES:
            check_contents(connection, path)


def _went_back(connection: sqlite3.Connection, seen: incarnation.Seen) -> bool:
    try:
        return incarnation.went_back(connection, seen)
    except sqlite3.OperationalError:
        # A table is missing: the file has an earlier format than the program that wrote the record. No such program
        # has read it since, so the copy is older.
        return True


def check_contents(connection: sqlite3.Connection, path: Path) -> int:
    """Read the whole file, and return its format.

    Raises:
        OutboxDamagedError: A page is damaged, pixels belong to no face that needs them, or such a face has none.
    """
    results = connection.execute("PRAGMA integrity_check(1)").fetchall()
    if results != [("ok",)]:
        raise OutboxDamagedError(f"outbox {path}: {str(results[0][0])[:200]}")
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    if version != FORMAT:
        return int(version)
    needed = "SELECT row FROM faces WHERE state IN ('waiting', 'refused')"
    for problem, first, second in (
        ("pixels without a face", "SELECT row FROM pixels", needed),
        ("a face without pixels", needed, "SELECT row FROM pixels"),
    ):
        if connection.execute(f"{first} EXCEPT {second} LIMIT 1").fetchall():
            raise OutboxDamagedError(f"outbox {path}: {problem}")
    return FORMAT
