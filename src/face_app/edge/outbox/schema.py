"""Define the SQLite file of an outbox: format, migrations and locks. Translate the errors of SQLite."""

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from face_app.common.errors import OutboxDamagedError, OutboxError, OutboxUnavailableError

FORMAT = 4
"""Format of the file, in ``PRAGMA user_version``. A program migrates earlier formats and refuses later ones."""
APPLICATION = 0x66616365
"""``PRAGMA application_id``, "face" in ASCII: distinguishes an outbox from other SQLite files."""
BUSY_SECONDS = 30.0
"""Seconds to wait for the write transaction of another process; a commit takes milliseconds."""

# `faces` is the ledger: 350 bytes per face. Pixels are in a table of their own, because a row that once contained
# them would occupy a page of 4 KiB after their deletion. `run` identifies the program run that added a face. Recovery
# copies the faces of damaged outboxes (`former`) into a new one, so the id identifies a face, and the row does not.
_FACES = """(
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    run TEXT NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'stored', 'refused', 'expired', 'erased')),
    reason TEXT NOT NULL DEFAULT '',
    captured_at REAL NOT NULL,
    settled_at REAL,
    score REAL NOT NULL
)"""
_SCHEMA = f"""
CREATE TABLE outbox (id TEXT NOT NULL, sequence INTEGER NOT NULL, pruned_to REAL);
CREATE TABLE former (id TEXT PRIMARY KEY, sequence INTEGER NOT NULL);
CREATE TABLE faces {_FACES};
CREATE TABLE pixels (row INTEGER PRIMARY KEY REFERENCES faces, file BLOB NOT NULL);
"""
VISIT_COLUMNS = "camera, track, first_at, last_at, looks, shots, best, dismissed"
"""Columns of a visit, in the order of the fields of `records.Visit`."""
_VISITS = """
CREATE TABLE visits (
    row INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    camera TEXT NOT NULL,
    track INTEGER NOT NULL,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    looks INTEGER NOT NULL,
    shots INTEGER NOT NULL,
    best REAL NOT NULL,
    dismissed TEXT NOT NULL DEFAULT ''
);
CREATE INDEX visited ON visits (last_at);
"""
_INDEXES = """
CREATE INDEX waiting ON faces (row, run) WHERE state = 'waiting';
CREATE INDEX score ON faces (score, row) WHERE state = 'waiting';
CREATE INDEX refused ON faces (row, run) WHERE state = 'refused';
CREATE INDEX stored ON faces (settled_at) WHERE state = 'stored';
"""
# Format 3 had no dismissed visits, format 2 no visits. Format 1 named the row `sequence`, and had no states `expired`
# and `erased`.
_MIGRATE_1_TO_2 = f"""
ALTER TABLE outbox ADD COLUMN pruned_to REAL;
CREATE TABLE former (id TEXT PRIMARY KEY, sequence INTEGER NOT NULL);
ALTER TABLE pixels RENAME COLUMN sequence TO row;
CREATE TABLE faces_2 {_FACES};
INSERT INTO faces_2 SELECT sequence, id, run, topic, key, sha256, state, reason, captured_at, stored_at, score
    FROM faces;
DROP TABLE faces;
ALTER TABLE faces_2 RENAME TO faces;
"""
_MIGRATE_3_TO_4 = "ALTER TABLE visits ADD COLUMN dismissed TEXT NOT NULL DEFAULT ''"

# A part of SQLite's message, the advice, and the error to raise. Python 3.10 does not report SQLite's error codes.
_DAMAGED = "it is damaged; the next start sets it aside and recovers the readable faces"
_TRANSLATIONS: tuple[tuple[str, str, type[OutboxError]], ...] = (
    ("is full", "make room on its disk", OutboxUnavailableError),
    ("disk I/O error", "check its disk, and make room there", OutboxUnavailableError),
    ("is locked", "another program blocks it; stop that program", OutboxUnavailableError),
    ("malformed", _DAMAGED, OutboxDamagedError),
    ("not a database", _DAMAGED, OutboxDamagedError),
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

    def close(self) -> None:
        """Close the file and release its lock."""
        self.connection.close()
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
    except sqlite3.Error as error:
        _, advice, error_class = next(each for each in _TRANSLATIONS if each[0] in str(error))
        if error_class is OutboxDamagedError:
            damage_mark(path).touch(mode=0o600)
        raise error_class(f"outbox {path}: {error}; {advice}") from error
    except OSError as error:
        raise OutboxError(f"outbox {path}: {error.strerror}; set outbox.path to a file that can be written") from error


def placeholders(columns: str) -> str:
    """Return one SQL placeholder for each column of a comma-separated list."""
    return ", ".join("?" for _ in columns.split(","))


def damage_mark(path: Path) -> Path:
    """Return the path of the file that marks an outbox as damaged: the next start may not read the damaged page."""
    return path.with_name(f"{path.name}.damaged")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run statements atomically, as the only writer of the file."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def exclusive_access(path: Path) -> Iterator[None]:
    """Prevent every other process from opening the outbox.

    Raises:
        OutboxUnavailableError: Another process has the outbox open.
    """
    lock = _open_lock_file(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise OutboxUnavailableError(
            f"outbox {path} is damaged, and another program uses it: stop every face-app that uses it, then start again"
        ) from error
    finally:
        os.close(lock)


def _open_lock_file(path: Path) -> int:
    return os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def open_outbox(path: Path) -> OpenOutbox:
    """Open the file, and create it with a new id if it is missing. Several processes may call this concurrently.

    Raises:
        OutboxDamagedError: The file is damaged.
        OutboxError: The file cannot be opened or written, is no outbox, or has a later format.
    """
    with translate_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _open_lock_file(path)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            if damage_mark(path).exists():
                raise OutboxDamagedError(f"outbox {path} is damaged")
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            connection, own_id = connect(path)
        except BaseException:
            os.close(lock)
            raise
    return OpenOutbox(connection, own_id, lock)


def connect(path: Path) -> tuple[sqlite3.Connection, str]:
    """Open an existing file, empty or not, and migrate it to the current format.

    Returns:
        The connection, usable from any thread, and the id of the outbox.

    Raises:
        sqlite3.Error: SQLite cannot open or migrate the file.
        OutboxError: The file is no outbox, or has a later format.
    """
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        if not path.stat().st_size:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # possible in an empty file only
        with transaction(connection):
            _create_or_migrate(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        (own_id,) = connection.execute("SELECT id FROM outbox").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection, own_id


def _create_or_migrate(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION:
        raise OutboxError(f"{path} is no outbox but another SQLite file; set outbox.path to another file")
    if version > FORMAT:
        raise OutboxError(
            f"outbox {path} has format {version}, this program reads up to {FORMAT}: run the face-app that wrote it"
        )
    if not tables:
        _execute_all(connection, _SCHEMA + _INDEXES + _VISITS)
        connection.execute("INSERT INTO outbox VALUES (?, 0, NULL)", (secrets.token_hex(4),))
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
    elif version == 1:
        _execute_all(connection, _MIGRATE_1_TO_2 + _INDEXES + _VISITS)
    elif version == 2:
        _execute_all(connection, _VISITS)
    elif version == 3:
        connection.execute(_MIGRATE_3_TO_4)
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def _execute_all(connection: sqlite3.Connection, statements: str) -> None:
    # `executescript` would commit the open transaction first.
    for statement in statements.split(";"):
        connection.execute(statement)
