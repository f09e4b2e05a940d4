"""Upgrades an outbox of a released format, full of waiting faces, to the current programs."""

import argparse
import hashlib
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from face_app.common.wire import FaceTopic, object_key
from faults.outcome import Outcome, outcome
from faults.verdict import audit
from faults.world import world
from support.faces import drawn_face
from support.formats import new_format_1

OLD = "0badcafe"
NewFormat = Callable[[Path, str, int], sqlite3.Connection]


def upgrade(home: Path, *, faces: int, new_format: NewFormat = new_format_1) -> Outcome:
    """Fill an outbox of that format with waiting faces, start everything, and wait until all are stored."""
    home.mkdir(exist_ok=True)
    with world(home, rate=1, subscribers=1) as running:
        running["camera-0"].stop()
        for left in (home / "edge-0").iterdir():
            left.unlink()
        _fill(home / "edge-0" / "outbox.db", home / "committed-0.log", faces, new_format)
        started = time.monotonic()
        running.drain(600)
        verdict = audit(running)
        assert verdict.balanced, verdict.table
        return outcome(running, time.monotonic() - started, verdict)


def _fill(path: Path, log: Path, count: int, new_format: NewFormat) -> None:
    connection = new_format(path, OLD, count)
    with log.open("w") as lines:
        for number in range(1, count + 1):
            face = drawn_face(number, outbox=OLD, captured_at=datetime.now(timezone.utc))
            sha256, at = hashlib.sha256(face.payload).hexdigest(), face.metadata.captured_at
            topic = FaceTopic(face.metadata.edge, face.metadata.camera)
            key = object_key(topic, face.id, at, sha256, "jpg")
            connection.execute(
                "INSERT INTO faces VALUES (?, ?, 'run', ?, ?, ?, 'waiting', '', ?, NULL, 0.5)",
                (number, str(face.id), str(topic), key, sha256, at.timestamp()),
            )
            connection.execute("INSERT INTO pixels VALUES (?, ?)", (number, face.payload))
            lines.write(f"meant {face.id}\ncommitted {face.id} {sha256}\n")
    connection.commit()
    connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=10_000)
    with tempfile.TemporaryDirectory(prefix="upgrade-") as folder:
        sys.stdout.write(json.dumps(asdict(upgrade(Path(folder), faces=parser.parse_args().faces))) + "\n")
