"""Open the SQLite file of the index, and share its connections between threads.

The index contains nothing that the bucket has not: a file that is damaged, or of another format, is deleted.
"""

import logging
import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from face_app.common.errors import FaceAppError, SettingsError

log = logging.getLogger(__name__)

FORMAT = 1
"""Format of the file, in ``PRAGMA user_version``."""
APPLICATION = 0x66616769
"""``PRAGMA application_id``, "fagi" in ASCII: no other SQLite file is deleted."""
READERS = 4
"""Connections that read, each with a cache of 4 MiB."""

# `at` is the time of capture in milliseconds once the metadata was read (`read` is 1, or 2 if it is unreadable).
# Before, it is the latest time that is possible. `hours` counts, so that a chart reads no faces.
_SCHEMA = """
CREATE TABLE places (
    id INTEGER PRIMARY KEY,
    edge TEXT NOT NULL,
    camera TEXT NOT NULL,
    faces INTEGER NOT NULL DEFAULT 0,
    UNIQUE (edge, camera)
);
CREATE TABLE outboxes (
    id INTEGER PRIMARY KEY,
    edge TEXT NOT NULL,
    outbox TEXT NOT NULL,
    faces INTEGER NOT NULL DEFAULT 0,
    UNIQUE (edge, outbox)
);
CREATE TABLE faces (
    row INTEGER PRIMARY KEY,
    place INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    name TEXT NOT NULL,
    outbox INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    at INTEGER NOT NULL,
    read INTEGER NOT NULL DEFAULT 0,
    UNIQUE (place, hour, name)
);
CREATE INDEX newest ON faces (at);
CREATE INDEX newest_of_place ON faces (place, at);
CREATE INDEX numbers ON faces (outbox, sequence);
CREATE TABLE hours (
    hour INTEGER NOT NULL,
    place INTEGER NOT NULL,
    faces INTEGER NOT NULL,
    PRIMARY KEY (hour, place)
) WITHOUT ROWID;
CREATE TABLE details (row INTEGER PRIMARY KEY, visit TEXT NOT NULL, document TEXT NOT NULL);
CREATE INDEX visits ON details (visit);
"""


class IndexFile:
    """Contains the connections of the open file: one that writes, some that read. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Open the file; create it if it is missing, damaged or of another format.

        Raises:
            SettingsError: It cannot be written, or is not an index.
        """
        self.path = path.expanduser()
        self.damage = ""
        self._lock = threading.RLock()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._writer = self._open_or_replace()
            self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
            for _ in range(READERS):
                self._readers.put(_connect(self.path))
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(f"index {self.path}: {error}; set index to a file that can be written") from error

    def _open_or_replace(self) -> sqlite3.Connection:
        try:
            return _create(_connect(self.path))
        except _OtherFormatError:
            log.info("index %s has another format and is filled again", self.path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            log.warning("index %s is damaged and is filled again: %s", self.path, error)
        self.delete()
        return _create(_connect(self.path))

    def delete(self) -> None:
        """Delete the file; the next start fills a new one."""
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run statements in one transaction."""
        with self._lock, self._noting_damage(), self._writer:  # commits, or rolls back
            self._writer.execute("BEGIN IMMEDIATE")
            yield self._writer

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Run queries on one state of the file."""
        connection = self._readers.get()
        try:
            with self._noting_damage():
                connection.execute("BEGIN")
                try:
                    yield connection
                finally:
                    with suppress(sqlite3.Error):
                        connection.execute("COMMIT")
        finally:
            self._readers.put(connection)

    @contextmanager
    def _noting_damage(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if not isinstance(error, (sqlite3.OperationalError, sqlite3.IntegrityError)):
                self.damage = f"index {self.path} is damaged: {error}; the next start fills a new one"
                raise FaceAppError(self.damage) from error
            raise

    def close(self) -> None:
        """Close all connections; a damaged file is deleted."""
        with self._lock:
            self._writer.close()
        for _ in range(READERS):
            self._readers.get().close()
        if self.damage:
            self.delete()


class _OtherFormatError(Exception):
    """Reports an index of another format."""


def _connect(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)  # it contains when which camera saw faces
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA cache_size = -4096")
    return connection


def _create(connection: sqlite3.Connection) -> sqlite3.Connection:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION:
        connection.close()
        raise sqlite3.OperationalError("it is another SQLite file")
    if tables and version != FORMAT:
        connection.close()
        raise _OtherFormatError
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    if not tables:
        connection.executescript(
            f"BEGIN; {_SCHEMA} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; COMMIT;"
        )
    return connection
