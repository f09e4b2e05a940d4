"""Limit what refused messages add to the quarantine, per edge and hour, because each object costs storage."""

import threading
import time
from collections.abc import Callable

MAX_OBJECTS = 100
"""Maximum number of objects per edge and hour. That is enough to find a cause of refusals."""
MAX_BYTES = 100_000_000
"""Maximum bytes of objects per edge and hour."""
MAX_EDGES = 1000
"""Maximum number of edges with objects in an hour. A certificate fixes the name of its edge. So only a listener without
certificates lets a client invent names."""
HOUR = 3600.0


class QuarantineLimit:
    """Counts the objects of the current hour. Thread-safe.

    Each subscriber counts its own. Its first hour begins with its start.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with no objects; `clock` returns seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._hour_ends = clock() + HOUR
        self._sizes: dict[str, dict[str, int]] = {}
        """Size of each object, bytes, by edge and key."""

    def admit(self, edge: str, key: str, size: int) -> bool:
        """Count an object once, however often it is tried; return False if it must not be stored."""
        with self._lock:
            if self._clock() >= self._hour_ends:
                self._hour_ends = self._clock() + HOUR
                self._sizes.clear()
            if edge not in self._sizes and len(self._sizes) >= MAX_EDGES:
                return False
            sizes = self._sizes.setdefault(edge, {})
            if key in sizes:
                return True
            if len(sizes) >= MAX_OBJECTS or sum(sizes.values()) + size > MAX_BYTES:
                return False
            sizes[key] = size
            return True
