"""Measures the chain while a fault acts: faces stored, latencies, memory."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from faults.program import Program
from faults.world import World

WATCH_SECONDS = 0.1
"""Seconds between two readings of the broker's memory."""


@dataclass(frozen=True)
class Figures:
    """Contains what the cameras and programs did while a fault acted.

    Attributes:
        captured: Faces committed in that time.
        stored: Faces of these with a receipt in that time.
        p50: Median of the seconds from capture to receipt of all these faces, also of those stored later.
        p99: 99th percentile of the same.
        memory: Maximum of resident MiB, by program.
    """

    captured: int
    stored: int
    p50: float
    p99: float
    memory: dict[str, int]

    def __str__(self) -> str:
        memory = ", ".join(f"{name} {peak}" for name, peak in self.memory.items())
        latency = f"p50 {self.p50} s, p99 {self.p99} s"
        return f"{self.stored} of {self.captured} stored meanwhile, {latency}; MiB at most: {memory}"


@dataclass
class Meter:
    """Watches the programs of the cloud from its start to `end`."""

    world: World
    _begin: float = field(default_factory=time.time)
    _end: float = 0
    _peaks: dict[str, int] = field(default_factory=dict)

    def end(self) -> None:
        """End the interval, and read the maximum memory of each program."""
        self._end = time.time()
        of_cloud = {"cloud": self.world["cloud"], **{each.name: each for each in self.world.subscribers}}
        self._peaks = {name: program.peak >> 20 for name, program in of_cloud.items()}

    def figures(self) -> Figures:
        """Read the receipts in the outboxes. Call it when no face waits any more."""
        faces = [face for outbox in self.world.outboxes for face in _receipts(outbox, self._begin, self._end)]
        latencies = sorted(stored - captured for captured, stored in faces if stored)
        during = sum(0 < stored <= self._end for _, stored in faces)
        return Figures(len(faces), during, _percentile(latencies, 50), _percentile(latencies, 99), self._peaks)


def _receipts(outbox: Path, begin: float, end: float) -> list[tuple[float, float]]:
    """Return the times of capture and receipt of the faces of an interval; 0: no receipt."""
    query = "SELECT captured_at, coalesce(settled_at, 0) FROM faces WHERE captured_at BETWEEN ? AND ?"
    with closing(sqlite3.connect(outbox)) as connection:
        return connection.execute(query, (begin, end)).fetchall()


def _percentile(ordered: list[float], percent: int) -> float:
    return round(ordered[(len(ordered) - 1) * percent // 100], 2) if ordered else 0.0


@contextmanager
def limited_memory(broker: Program, megabytes: int) -> Iterator[None]:
    """Kill a program at a limit of memory and start it again, as the kernel and the container engine do."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(WATCH_SECONDS):
            broker.limit_memory(megabytes << 20)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
