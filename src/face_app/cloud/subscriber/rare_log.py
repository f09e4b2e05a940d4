"""Log warnings that a peer can cause, at most one a minute of each kind."""

import logging
import threading
import time
from collections.abc import Callable

SECONDS = 60.0
"""Minimum seconds between two lines of one kind."""
MAX_KINDS = 1000
"""Maximum number of kinds in memory; beyond it, all begin again."""


class RareLog:
    """Logs the first warning of each kind, then one a minute with the number of those in between. Thread-safe."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to `log`; `clock` returns seconds."""
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[str, tuple[float, int]] = {}

    def warning(self, kind: str, text: str, *values: object) -> None:
        """Log a line, or count it."""
        with self._lock:
            now = self._clock()
            logged, skipped = self._kinds.get(kind, (-SECONDS, 0))
            if now - logged < SECONDS:
                self._kinds[kind] = (logged, skipped + 1)
                return
            if len(self._kinds) >= MAX_KINDS:
                self._kinds.clear()
            self._kinds[kind] = (now, 0)
        more = f" ({skipped} more of this kind since the last line)" if skipped else ""
        self._log.warning(text + more, *values)
