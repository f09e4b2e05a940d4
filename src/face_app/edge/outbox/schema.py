"""Define the tables of an outbox, and migrate files of earlier formats."""

import hashlib
import re
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path

from face_app.common.errors import MessageError, OutboxDamagedError, OutboxError
from face_app.common.wire import FaceId
from face_app.edge.outbox.page_size import PAGE

FORMAT = 5
"""Format of the file, in ``PRAGMA user_version``. A program migrates earlier formats and refuses later ones."""
NEXT_FORMATS = 15
"""Number of later formats that are recognised by their number alone."""
APPLICATION = 0x66616365
"""``PRAGMA application_id``, "face" in ASCII: distinguishes an outbox from other SQLite files."""
BUSY_SECONDS = 30.0
"""Seconds to wait for the write transaction of another process; a commit takes milliseconds."""
WAL_BYTES = 8 * 1024 * 1024
"""Maximum bytes of the write-ahead log after a checkpoint (``journal_size_limit``); it has half of that before one."""
MOST_FACES = 2**62
"""Limit of a sequence number. A higher one is damage: SQLite's integers end at twice this number."""

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
# `openings` has a token for each run that numbered faces, and its first number: it distinguishes two runs that
# gave one number. `pruned` has the numbers of expired faces whose rows are gone. `pixel_bytes` is the sum of all files.
_MIGRATE_4_TO_5 = """
ALTER TABLE outbox ADD COLUMN pixel_bytes INTEGER NOT NULL DEFAULT 0;
CREATE TABLE openings (
    outbox TEXT NOT NULL, token TEXT NOT NULL, first INTEGER NOT NULL, PRIMARY KEY (outbox, first)
);
CREATE TABLE pruned (
    outbox TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (outbox, first)
);
CREATE INDEX expired ON faces (settled_at) WHERE state = 'expired';
CREATE INDEX refusal ON faces (settled_at) WHERE state = 'refused';
UPDATE outbox SET pixel_bytes = (SELECT coalesce(sum(length(file)), 0) FROM pixels);
"""
# A trigger of its own for each event: no statement that writes pixels can forget the sum.
_TRIGGERS = (
    "CREATE TRIGGER pixels_added AFTER INSERT ON pixels BEGIN"
    " UPDATE outbox SET pixel_bytes = pixel_bytes + length(NEW.file); END",
    "CREATE TRIGGER pixels_deleted AFTER DELETE ON pixels BEGIN"
    " UPDATE outbox SET pixel_bytes = pixel_bytes - length(OLD.file); END",
)
_MIGRATIONS = {
    1: (2, _MIGRATE_1_TO_2 + _INDEXES),
    2: (4, _VISITS),
    3: (4, _MIGRATE_3_TO_4),
    4: (5, _MIGRATE_4_TO_5),
}


def placeholders(columns: str) -> str:
    """Return one SQL placeholder for each column of a comma-separated list."""
    return ", ".join("?" for _ in columns.split(","))


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Read a file without a change to it: a connection that may write merges the write-ahead log when it is closed."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        yield connection


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


def connect(path: Path) -> sqlite3.Connection:
    """Open an existing file, empty or not, and migrate it to the current format.

    Returns:
        A connection that any thread can use.

    Raises:
        sqlite3.Error: SQLite cannot open or migrate the file.
        OutboxDamagedError: Its contents contradict each other.
        OutboxError: The file is no outbox, or has a later format.
    """
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        if not path.stat().st_size:
            connection.execute(f"PRAGMA page_size = {PAGE}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # possible in an empty file only
        with transaction(connection):
            _create_or_migrate(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # Free pages would contain faces that were stored, and perhaps erased in the bucket since.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        _check_record(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def check_identity(connection: sqlite3.Connection, path: Path) -> None:
    """Check that a file is an outbox whose contents this program understands; an empty one is.

    Raises:
        OutboxDamagedError: Its header, or its record of itself, is damaged.
        OutboxError: The file is no outbox, or has a later format.
    """
    if _check_format(connection, path) == FORMAT:
        _check_record(connection, path)


def _create_or_migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = _check_format(connection, path)
    if version == 0:
        _execute_all(connection, _SCHEMA + _INDEXES + _VISITS)
        connection.execute("INSERT INTO outbox VALUES (?, 0, NULL)", (secrets.token_hex(4),))
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
    migrated = version or 4
    while migrated < FORMAT:
        migrated, statements = _MIGRATIONS[migrated]
        _execute_all(connection, statements)
    if version < 5:
        _complete_format_5(connection)
    if version < FORMAT:
        connection.execute(f"PRAGMA user_version = {FORMAT}")


def _complete_format_5(connection: sqlite3.Connection) -> None:
    for trigger in _TRIGGERS:
        connection.execute(trigger)
    # An older copy of this file that is migrated later must get the same token for the same numbers.
    ((own, sequence),) = connection.execute("SELECT id, sequence FROM outbox").fetchall()
    if sequence:
        token = hashlib.sha256(own.encode()).hexdigest()[:16]
        connection.execute("INSERT INTO openings VALUES (?, ?, 1)", (own, token))


def _check_format(connection: sqlite3.Connection, path: Path) -> int:
    """Return the format of a file, 0 if it is empty; `check_identity` names the errors."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    ((application,),) = connection.execute("PRAGMA application_id").fetchall()
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    if not tables and application != APPLICATION:
        return 0
    is_outbox = {"outbox", "faces", "pixels"} <= tables
    if not is_outbox and application != APPLICATION:
        raise OutboxError(f"{path} is no outbox but another SQLite file; set outbox.path to another file")
    if is_outbox and application == APPLICATION and 1 <= version <= FORMAT:
        return int(version)
    # A format of many releases later has other tables or columns. With those of this one, the header is damaged.
    later = FORMAT < version <= FORMAT + NEXT_FORMATS or _schema(connection) != _schema_of_this_format()
    if application == APPLICATION and version > FORMAT and later:
        raise OutboxError(
            f"outbox {path} has format {version}, this program reads up to {FORMAT}: run the face-app that wrote it"
        )
    raise OutboxDamagedError(f"outbox {path}: its header is damaged")


def _schema(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    query = "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    names = {(kind, name) for kind, name in connection.execute(query)}
    tables = [name for kind, name in names if kind == "table"]
    columns = {(table, row[1]) for table in tables for row in connection.execute(f"PRAGMA table_info({table})")}
    return names | columns


def _schema_of_this_format() -> set[tuple[str, str]]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        _create_or_migrate(connection, Path(":memory:"))
        return _schema(connection)
    finally:
        connection.close()


def _check_record(connection: sqlite3.Connection, path: Path) -> None:
    """Check the outbox's record of itself, without which no face can be numbered.

    Raises:
        OutboxDamagedError: It is missing, or contradicts the ledger.
    """
    try:
        ((own, sequence, pruned_to, _),) = connection.execute(
            "SELECT id, sequence, pruned_to, pixel_bytes FROM outbox"
        ).fetchall()
        if not re.fullmatch(r"[0-9a-f]{8}", own):
            raise ValueError(f"id {own!r}")
        if pruned_to is not None:
            datetime.fromtimestamp(pruned_to + 1, timezone.utc)
        ((newest,),) = connection.execute(
            "SELECT max(id) FROM faces WHERE id BETWEEN ? AND ?", (own, f"{own}g")
        ).fetchall()
        highest = 0 if newest is None else FaceId.parse(newest).sequence
        if not highest <= sequence < MOST_FACES:
            raise ValueError(f"sequence {sequence!r} after {highest}")
    except (ValueError, TypeError, OverflowError, OSError, MessageError) as error:
        raise OutboxDamagedError(f"outbox {path}: its record of itself is damaged: {error}") from error


def _execute_all(connection: sqlite3.Connection, statements: str) -> None:
    # `executescript` would commit the open transaction first.
    for statement in statements.split(";"):
        connection.execute(statement)
