"""Open the SQLite file that says what was announced, so that a restart announces nothing twice.

It can be deleted at any time: then only faces that are stored after the next start are announced. Messages that wait,
alarms included, are lost with it, and alarms that are firing are announced again when Alertmanager repeats them.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from face_app.common.errors import SettingsError

log = logging.getLogger(__name__)

FORMAT = 1
"""Format of the file, in ``PRAGMA user_version``."""
APPLICATION = 0x66616E6F
"""``PRAGMA application_id``, "fano" in ASCII: no other SQLite file is deleted."""

# A face is new, more (waits for the summary of its camera), late (for that of its edge), quiet (for that of the
# quiet hours), announced, or passed.
_SCHEMA = """
CREATE TABLE since (ms INTEGER NOT NULL);
INSERT INTO since VALUES (1000 * strftime('%s', 'now'));
CREATE TABLE faces (
    key TEXT PRIMARY KEY,
    edge TEXT NOT NULL,
    camera TEXT NOT NULL,
    offered INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    at INTEGER NOT NULL,
    visit TEXT NOT NULL DEFAULT '',
    score REAL NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'new'
) WITHOUT ROWID;
CREATE INDEX faces_by_state ON faces (state, edge, camera);
CREATE INDEX faces_by_visit ON faces (visit);
CREATE TABLE cameras (
    edge TEXT NOT NULL,
    camera TEXT NOT NULL,
    cooling_until INTEGER NOT NULL,
    PRIMARY KEY (edge, camera)
) WITHOUT ROWID;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    made INTEGER NOT NULL,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    picture TEXT NOT NULL
);
CREATE TABLE deliveries (
    message INTEGER NOT NULL,
    service TEXT NOT NULL,
    sending INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    due INTEGER NOT NULL,
    PRIMARY KEY (service, message)
) WITHOUT ROWID;
CREATE TABLE alarms (fingerprint TEXT PRIMARY KEY, status TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
"""


class NotificationFile:
    """Is the open file: one connection, which threads use one after the other."""

    def __init__(self, path: Path) -> None:
        """Open the file; create it if it is missing, damaged or of another format.

        Raises:
            SettingsError: It cannot be written, or is another SQLite file.
        """
        self.path = path.expanduser()
        self._lock = threading.RLock()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = self._open_or_replace()
        except (OSError, sqlite3.Error) as error:
            advice = "set index to a file in a folder that can be written"
            raise SettingsError(f"notifications' file {self.path} cannot be written: {error}; {advice}") from error

    def _open_or_replace(self) -> sqlite3.Connection:
        try:
            return _open(self.path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            log.warning(
                "%s is replaced: %s; older faces are not announced; messages that waited, alarms included, are lost",
                self.path,
                error,
            )
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        return _open(self.path)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run statements in one transaction."""
        with self._lock, self._connection:  # commits, or rolls back
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return int(time.time() * 1000)


def _open(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)  # it contains when which camera saw faces
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application != APPLICATION:
            advice = "move it away, or change index"
            raise SettingsError(f"notifications' file {path} (beside index) is another SQLite file; {advice}")
        if tables and version != FORMAT:
            raise sqlite3.DatabaseError(f"it has format {version}")
        if tables:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(found)
        connection.execute("PRAGMA journal_mode = WAL")
        # A message whose sending was recorded must not be sent again after a power cut.
        connection.execute("PRAGMA synchronous = FULL")
        if not tables:
            setting = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT};"
            connection.executescript(f"BEGIN; {_SCHEMA} {setting} COMMIT;")
    except (sqlite3.Error, SettingsError):
        connection.close()
        raise
    return connection
