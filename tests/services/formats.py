"""Earlier formats of the outbox, as their releases made them."""

import sqlite3
from pathlib import Path

from face_app.edge.outbox_file import APPLICATION

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


def new_format_1(path: Path, outbox: str, sequence: int) -> sqlite3.Connection:
    """Make an outbox of the first format that has given numbers up to `sequence`; its faces are still to be put in."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(FORMAT_1)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute("PRAGMA user_version = 1")
    connection.execute("INSERT INTO outbox VALUES (?, ?)", (outbox, sequence))
    return connection
