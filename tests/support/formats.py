"""Creates outboxes of released formats, with the schema of each release."""

import sqlite3
from pathlib import Path

from face_app.edge.outbox.records import Visit
from face_app.edge.outbox.schema import APPLICATION

FORMAT_1 = """
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

FORMAT_2 = """
CREATE TABLE outbox (id TEXT NOT NULL, sequence INTEGER NOT NULL, pruned_to REAL);
CREATE TABLE former (id TEXT PRIMARY KEY, sequence INTEGER NOT NULL);
CREATE TABLE faces (
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
);
CREATE TABLE pixels (row INTEGER PRIMARY KEY REFERENCES faces, file BLOB NOT NULL);
CREATE INDEX waiting ON faces (row, run) WHERE state = 'waiting';
CREATE INDEX score ON faces (score, row) WHERE state = 'waiting';
CREATE INDEX refused ON faces (row, run) WHERE state = 'refused';
CREATE INDEX stored ON faces (settled_at) WHERE state = 'stored';
"""

FORMAT_3 = (
    FORMAT_2
    + """
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
)


def new_format_1(path: Path, outbox: str, sequence: int) -> sqlite3.Connection:
    """Create an outbox of format 1 that has assigned numbers up to `sequence`; the caller inserts the faces."""
    return _new(path, 1, FORMAT_1, (outbox, sequence))


def new_format_2(path: Path, outbox: str, sequence: int) -> sqlite3.Connection:
    """Create an outbox of format 2, which has no visits. Its columns have the order of format 1."""
    return _new(path, 2, FORMAT_2, (outbox, sequence, None))


def new_format_3(path: Path, outbox: str, sequence: int) -> sqlite3.Connection:
    """Create an outbox of format 3. Its columns have the order of format 1."""
    return _new(path, 3, FORMAT_3, (outbox, sequence, None))


def insert_visit_3(connection: sqlite3.Connection, visit: Visit) -> None:
    """Insert a visit into an outbox of format 3, which had no dismissed visits."""
    times = visit.first_at.timestamp(), visit.last_at.timestamp()
    row = (visit.camera, visit.track, *times, visit.looks, visit.shots, visit.best)
    connection.execute("INSERT INTO visits VALUES (NULL, 'run', ?, ?, ?, ?, ?, ?, ?)", row)


def _new(path: Path, version: int, schema: str, outbox: tuple[object, ...]) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(schema)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute(f"INSERT INTO outbox VALUES ({', '.join('?' * len(outbox))})", outbox)
    return connection
