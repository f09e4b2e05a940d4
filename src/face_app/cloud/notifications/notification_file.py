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

# Times are milliseconds since 1970. A change of names or states needs another FORMAT, which loses waiting messages.
# States of a face:
#   new: its metadata was not read yet
#   more: waits for the summary that follows the cool-down of its camera
#   late: waits for the summary of its edge, because it arrived long after its capture
#   quiet: waits for the summary that follows the quiet hours
#   announced: a message contains it
#   passed: needs no message: a test card, erased, or counted in the summary of late faces
_SCHEMA = """
CREATE TABLE since (
    ms INTEGER NOT NULL -- time; a face of a listing counts as known if it was stored earlier
);
INSERT INTO since VALUES (1000 * strftime('%s', 'now'));
CREATE TABLE faces (
    key TEXT PRIMARY KEY, -- key of the object
    edge TEXT NOT NULL, -- name of the edge
    camera TEXT NOT NULL, -- name of the camera
    offered INTEGER NOT NULL, -- time at which a receipt or a listing reported it here
    stored INTEGER NOT NULL, -- time of its upload to the bucket
    at INTEGER NOT NULL, -- time of capture; until the metadata was read, the start of its hour
    visit TEXT NOT NULL DEFAULT '', -- edge and id of its visit; the key if unknown; empty until the metadata was read
    score REAL NOT NULL DEFAULT 0, -- quality of the picture, 0 to 1
    state TEXT NOT NULL DEFAULT 'new' -- see above
) WITHOUT ROWID;
CREATE INDEX faces_by_state ON faces (state, edge, camera);
CREATE INDEX faces_by_visit ON faces (visit);
CREATE TABLE cameras (
    edge TEXT NOT NULL, -- name of the edge
    camera TEXT NOT NULL, -- name of the camera
    cooling_until INTEGER NOT NULL, -- time at which its cool-down ends
    PRIMARY KEY (edge, camera)
) WITHOUT ROWID;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY, -- number of the message, in the order of creation
    made INTEGER NOT NULL, -- time at which it was written
    kind TEXT NOT NULL, -- info: faces, warning: an alarm, success: the end of an alarm
    title TEXT NOT NULL, -- one line
    body TEXT NOT NULL, -- lines of text
    picture TEXT NOT NULL -- key of its picture; empty: none
);
CREATE TABLE deliveries (
    message INTEGER NOT NULL, -- id of a message
    service TEXT NOT NULL, -- digest of the URL of a service that has not got it yet
    sending INTEGER NOT NULL DEFAULT 0, -- 1: it is being sent, 0: it waits
    attempts INTEGER NOT NULL DEFAULT 0, -- number of attempts that failed
    due INTEGER NOT NULL, -- earliest time of the next attempt
    PRIMARY KEY (service, message)
) WITHOUT ROWID;
CREATE TABLE alarms (
    fingerprint TEXT PRIMARY KEY, -- Alertmanager's id of the alarm
    status TEXT NOT NULL, -- firing or resolved
    at INTEGER NOT NULL -- time of the latest request that named it
) WITHOUT ROWID;
"""


class NotificationFile:
    """Contains the open file: one connection, which threads use one after the other."""

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
