"""The SQLite file of an outbox: its format, how it is opened, and what its errors mean to an operator."""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from face_app.errors import OutboxError, OutboxUnavailableError

FORMAT = 1
"""Format of the file, in ``PRAGMA user_version``. A program reads every earlier format and refuses a later one."""
APPLICATION = 0x66616365
"""``PRAGMA application_id``, "face": tells an outbox from any other SQLite file."""
BUSY_SECONDS = 30.0
"""Longest wait for another process that writes; a commit takes milliseconds."""

# Every face keeps its row in `faces`, the ledger: 280 bytes. Its pixels stand apart, or each row would go on taking
# up a page of 4 KiB after they are gone. `run` tells the faces of one program run from another's.
_SCHEMA = """
CREATE TABLE outbox (id TEXT NOT NULL, sequence INTEGER NOT NULL);
CREATE TABLE faces (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    run TEXT NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'stored', 'refused')),
    reason TEXT NOT NULL DEFAULT '',
    captured_at REAL NOT NULL,
    stored_at REAL,
    score REAL NOT NULL
);
CREATE TABLE pixels (sequence INTEGER PRIMARY KEY REFERENCES faces, file BLOB NOT NULL);
CREATE INDEX waiting ON faces (sequence, run) WHERE state = 'waiting';
CREATE INDEX refused ON faces (sequence, run) WHERE state = 'refused';
"""

# What SQLite says (its error codes reach Python with 3.11 only), what to do about it, and whether waiting helps.
_MEANINGS: tuple[tuple[str, str, type[OutboxError]], ...] = (
    ("is full", "make room on its disk", OutboxUnavailableError),
    ("disk I/O error", "look at its disk, and make room there", OutboxUnavailableError),
    ("is locked", "another program holds it; end that one", OutboxUnavailableError),
    ("malformed", "it is damaged: keep it for rescue and set outbox.path to a new file", OutboxError),
    ("not a database", "it is damaged: keep it for rescue and set outbox.path to a new file", OutboxError),
    ("", "set outbox.path to a file that this user may write", OutboxError),
)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into one line that names what to change.

    Raises:
        OutboxUnavailableError: Waiting or making room helps.
        OutboxError: It does not.
    """
    try:
        yield
    except sqlite3.Error as error:
        _, advice, kind = next(meaning for meaning in _MEANINGS if meaning[0] in str(error))
        raise kind(f"outbox {path}: {error}; {advice}") from error
    except OSError as error:
        raise OutboxError(f"outbox {path}: {error.strerror}; set outbox.path to a file that can be written") from error


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


def open_outbox(path: Path) -> tuple[sqlite3.Connection, str]:
    """Open the file, or make it with an id of its own. Several processes may do so at once.

    Returns:
        The connection, which any thread may use, and the outbox's id.

    Raises:
        OutboxError: It cannot be opened or written, is no outbox, or is of a later format.
    """
    with explained(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
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
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute("INSERT INTO outbox VALUES (?, 0)", (secrets.token_hex(4),))
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
