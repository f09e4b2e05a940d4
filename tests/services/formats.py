"""Earlier formats of the outbox, as their releases made them."""

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
