"""Remember the edges whose images cost much CPU time, so that all of them together delay no other edge."""

import threading
import time
from collections.abc import Callable

SECONDS = 3600.0
"""Time for which an edge counts as slow. Afterwards one image of it may cost the quick limit once more."""
MAX_EDGES = 1000
"""Maximum number of edges in memory; beyond it, the oldest is forgotten. A certificate fixes the name of its edge."""


class SlowEdges:
    """Contains edges for an hour after a slow image. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with none; `clock` returns seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def add(self, edge: str) -> None:
        """Record that an image of an edge was slow."""
        with self._lock:
            self._until.pop(edge, None)
            self._until[edge] = self._clock() + SECONDS
            if len(self._until) > MAX_EDGES:
                del self._until[next(iter(self._until))]

    def __contains__(self, edge: object) -> bool:
        """Return True if an edge is slow."""
        with self._lock:
            return isinstance(edge, str) and self._until.get(edge, 0.0) > self._clock()

    def __len__(self) -> int:
        """Return the number of slow edges."""
        with self._lock:
            return sum(until > self._clock() for until in self._until.values())
