"""Limit the copies of refused messages, per edge and hour, because each one costs storage."""

import threading
import time
from collections.abc import Callable

MAX_COPIES = 100
"""Maximum number of copies per edge and hour, which shows each cause of refusals."""
MAX_BYTES = 100_000_000
"""Maximum bytes of copies per edge and hour."""
MAX_EDGES = 1000
"""Maximum number of edges with copies in an hour. A certificate fixes the name of its edge, so only a listener without
certificates lets a client invent names."""
HOUR = 3600.0


class Quarantine:
    """Counts the copies of the current hour. Thread-safe. Each subscriber counts its own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with no copies; `clock` returns seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._ends = clock() + HOUR
        self._used: dict[str, tuple[int, int]] = {}

    def admit(self, edge: str, size: int) -> bool:
        """Count a copy; return False if it must not be stored."""
        with self._lock:
            if self._clock() >= self._ends:
                self._ends = self._clock() + HOUR
                self._used.clear()
            if edge not in self._used and len(self._used) >= MAX_EDGES:
                return False
            copies, used = self._used.get(edge, (0, 0))
            if copies >= MAX_COPIES or used + size > MAX_BYTES:
                return False
            self._used[edge] = (copies + 1, used + size)
            return True
