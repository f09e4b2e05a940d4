"""Earlier formats of the outbox, as their releases made them."""

import sqlite3
from pathlib import Path

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


def new_format_1(path: Path, outbox: str, sequence: int) -> sqlite3.Connection:
    """Make an outbox of the first format that has given numbers up to `sequence`; its faces are still to be put in."""
    return _new(path, 1, FORMAT_1, (outbox, sequence))


def new_format_2(path: Path, outbox: str, sequence: int) -> sqlite3.Connection:
    """Make one of the second format, which knew no visits. Its columns are in the order of the first one's."""
    return _new(path, 2, FORMAT_2, (outbox, sequence, None))


def _new(path: Path, version: int, schema: str, outbox: tuple[object, ...]) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(schema)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute(f"INSERT INTO outbox VALUES ({', '.join('?' * len(outbox))})", outbox)
    return connection
