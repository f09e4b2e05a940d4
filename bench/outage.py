"""Measures recovery after an outage: the drain rate of a backlog, and the delay of live faces meanwhile.

The chain is the faults' one, with nothing broken. The backlog waits before anything starts; a camera commits live faces
while it drains, and goes on when it is gone: the result has the delays of both periods. The last line is JSON.
"""

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.payloads import fill
from faults.world import Kind, World, world


@dataclass(frozen=True)
class Delays:
    """Milliseconds from commit to receipt.

    Attributes:
        n: Faces.
        p50: The median.
        p99: Nearest rank.
    """

    n: int
    p50: float
    p99: float


@dataclass(frozen=True)
class Outage:
    """Measurements of one outage.

    Attributes:
        store: Kind.
        faces: That waited.
        seconds: Until none of them did.
        rate: Of them, a second.
        during: Delays of live faces meanwhile.
        after: Delays of live faces with nothing else to send.
    """

    store: str
    faces: int
    seconds: float
    rate: float
    during: Delays
    after: Delays


def measure(home: Path, store: Kind, faces: int, live_rate: float, quiet_seconds: float) -> Outage:
    with world(home, kind=store, rate=live_rate, subscribers=1) as running:
        camera = running["camera-0"]
        camera.stop()
        outbox = running.outboxes[0]
        fill(outbox, faces)
        camera.start()
        started = time.monotonic()
        for waiting in _waiting(outbox, faces):
            _log(f"{time.monotonic() - started:6.0f} s  {waiting} wait")
        drained = time.monotonic() - started
        border = time.time()
        time.sleep(quiet_seconds)
        _drain_live(running, outbox)
        return Outage(
            store=store,
            faces=faces,
            seconds=round(drained, 1),
            rate=round(faces / drained, 1),
            during=_delays(outbox, faces, 0, border),
            after=_delays(outbox, faces, border, time.time()),
        )


def _waiting(outbox: Path, faces: int) -> Iterator[int]:
    while waiting := _ask(outbox, "SELECT count(*) FROM faces WHERE state = 'waiting' AND row <= ?", faces)[0][0]:
        yield waiting
        time.sleep(2)


def _drain_live(running: World, outbox: Path) -> None:
    running["camera-0"].stop()
    running.drain(60)


def _delays(outbox: Path, faces: int, begin: float, end: float) -> Delays:
    query = "SELECT settled_at - captured_at FROM faces WHERE state = 'stored' AND row > ?"
    rows = _ask(outbox, f"{query} AND captured_at >= ? AND captured_at < ?", faces, begin, end)
    milliseconds = sorted(seconds * 1000 for (seconds,) in rows)
    p99 = milliseconds[-(-len(milliseconds) * 99 // 100) - 1]
    return Delays(len(milliseconds), round(statistics.median(milliseconds), 1), round(p99, 1))


def _ask(outbox: Path, query: str, *values: float) -> list[tuple[float, ...]]:
    with closing(sqlite3.connect(outbox, timeout=30)) as connection:
        return connection.execute(query, values).fetchall()


def _log(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/bench outage", description=__doc__)
    parser.add_argument("--faces", type=int, default=20_000)
    parser.add_argument("--store", choices=["s3", "mount"], default="s3")
    parser.add_argument("--live-rate", type=float, default=2, help="live faces a second")
    parser.add_argument("--quiet-seconds", type=float, default=60, help="of live faces alone, afterwards")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="outage-", ignore_cleanup_errors=True) as folder:
        result = measure(Path(folder), options.store, options.faces, options.live_rate, options.quiet_seconds)
    sys.stdout.write(json.dumps(asdict(result)) + "\n")


if __name__ == "__main__":
    main()
