"""The SQLite file of an outbox: its format, how it is opened, and what its errors mean to an operator."""

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from face_app.common.errors import OutboxDamagedError, OutboxError, OutboxUnavailableError

FORMAT = 3
"""Format of the file, in ``PRAGMA user_version``. A program reads every earlier format and refuses a later one."""
APPLICATION = 0x66616365
"""``PRAGMA application_id``, "face": tells an outbox from any other SQLite file."""
BUSY_SECONDS = 30.0
"""Longest wait for another process that writes; a commit takes milliseconds."""

# Every face keeps its row in `faces`, the ledger: 350 bytes. Its pixels stand apart, or each row would go on taking
# up a page of 4 KiB after they are gone. `run` tells the faces of one program run from another's. An outbox may hold
# faces of damaged ones before it, the `former`, so the id, not the row, is a face's name.
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
VISIT = "camera, track, first_at, last_at, looks, shots, best"
"""What is kept of a visit: the fields of `visit.Visit`, in their order."""
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
    best REAL NOT NULL
);
CREATE INDEX visited ON visits (last_at);
"""
_INDEXES = """
CREATE INDEX waiting ON faces (row, run) WHERE state = 'waiting';
CREATE INDEX score ON faces (score, row) WHERE state = 'waiting';
CREATE INDEX refused ON faces (row, run) WHERE state = 'refused';
CREATE INDEX stored ON faces (settled_at) WHERE state = 'stored';
"""
# Format 2 knew no visits. Format 1 named a face's row `sequence` as well, and knew no reason to lose one.
_FROM_1 = f"""
ALTER TABLE outbox ADD COLUMN pruned_to REAL;
CREATE TABLE former (id TEXT PRIMARY KEY, sequence INTEGER NOT NULL);
ALTER TABLE pixels RENAME COLUMN sequence TO row;
CREATE TABLE faces_2 {_FACES};
INSERT INTO faces_2 SELECT sequence, id, run, topic, key, sha256, state, reason, captured_at, stored_at, score
    FROM faces;
DROP TABLE faces;
ALTER TABLE faces_2 RENAME TO faces;
"""

# What SQLite says (its error codes reach Python with 3.11 only), what to do about it, and whether waiting helps.
_MEANINGS: tuple[tuple[str, str, type[OutboxError]], ...] = (
    ("is full", "make room on its disk", OutboxUnavailableError),
    ("disk I/O error", "look at its disk, and make room there", OutboxUnavailableError),
    ("is locked", "another program holds it; end that one", OutboxUnavailableError),
    ("malformed", "it is damaged; the next start sets it aside and saves what can be read", OutboxDamagedError),
    ("not a database", "it is damaged; the next start sets it aside and saves what can be read", OutboxDamagedError),
    ("", "set outbox.path to a file that this user may write", OutboxError),
)


@dataclass(frozen=True)
class OpenOutbox:
    """An open outbox.

    Attributes:
        connection: Any thread may use it.
        id: The outbox's own.
        lock: Descriptor of the lock that tells others that the file is in use.
    """

    connection: sqlite3.Connection
    id: str
    lock: int

    def close(self) -> None:
        """Let go of it."""
        self.connection.close()
        os.close(self.lock)


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into one line that names what to change; damage is marked for the next start.

    Raises:
        OutboxUnavailableError: Waiting or making room helps.
        OutboxDamagedError: The file is not whole.
        OutboxError: Nothing of that.
    """
    try:
        yield
    except sqlite3.Error as error:
        _, advice, kind = next(meaning for meaning in _MEANINGS if meaning[0] in str(error))
        if kind is OutboxDamagedError:
            damage_mark(path).touch(mode=0o600)
        raise kind(f"outbox {path}: {error}; {advice}") from error
    except OSError as error:
        raise OutboxError(f"outbox {path}: {error.strerror}; set outbox.path to a file that can be written") from error


def damage_mark(path: Path) -> Path:
    """The file whose being there says that the outbox is damaged: a start may not come across the bad page itself."""
    return path.with_name(f"{path.name}.damaged")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do several things or none, as the one writer of the file."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Have the outbox alone: nobody opens it meanwhile.

    Raises:
        OutboxUnavailableError: Somebody has it open.
    """
    lock = _lock_file(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise OutboxUnavailableError(
            f"outbox {path} is damaged, and another program holds it: end every face-app that uses it, then start again"
        ) from error
    finally:
        os.close(lock)


def _lock_file(path: Path) -> int:
    return os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def open_outbox(path: Path) -> OpenOutbox:
    """Open the file, or make it with an id of its own. Several processes may do so at once.

    Raises:
        OutboxDamagedError: It is not whole.
        OutboxError: It cannot be opened or written, is no outbox, or is of a later format.
    """
    with translate_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _lock_file(path)
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
    """Open a file that is there, empty or not, and bring it to today's format.

    Returns:
        The connection, which any thread may use, and the outbox's id.

    Raises:
        sqlite3.Error: SQLite cannot do that.
        OutboxError: It is no outbox, or is of a later format.
    """
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        if not path.stat().st_size:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # can be set in an empty file only
        with transaction(connection):
            _make_or_check(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        (own_id,) = connection.execute("SELECT id FROM outbox").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection, own_id


def _make_or_check(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION:
        raise OutboxError(f"{path} is no outbox but another SQLite file; set outbox.path to another name")
    if version > FORMAT:
        raise OutboxError(
            f"outbox {path} has format {version}, this program knows {FORMAT}: run the face-app that wrote it"
        )
    if not tables:
        _run(connection, _SCHEMA + _INDEXES + _VISITS)
        connection.execute("INSERT INTO outbox VALUES (?, 0, NULL)", (secrets.token_hex(4),))
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
    elif version == 1:
        _run(connection, _FROM_1 + _INDEXES + _VISITS)
    elif version == 2:
        _run(connection, _VISITS)
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def _run(connection: sqlite3.Connection, statements: str) -> None:
    # One by one: `executescript` would commit first.
    for statement in statements.split(";"):
        connection.execute(statement)
