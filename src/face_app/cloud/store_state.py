"""What is known about the store, and who waits for it."""

import logging
import threading
import time
from typing import Literal

log = logging.getLogger(__name__)

Source = Literal["put", "check"]

REPEAT_SECONDS = 300.0
"""Between two lines about a problem that lasts: whoever looks at the end of the log must find it there."""


class StoreState:
    """Keeps the store's problem, tells of it now and then, wakes those who wait when all is well."""

    def __init__(self) -> None:
        """Start without knowing anything."""
        self._changed = threading.Condition()
        self._problems: dict[Source, str] = {"check": "the store was not checked yet"}
        self._told: dict[str, float] = {}
        self._recoveries = 0
        self._stopping = False

    @property
    def problem(self) -> str:
        """Why the store does not work; empty when it does as far as we know."""
        with self._changed:
            return self._problems.get("put") or self._problems.get("check") or ""

    @property
    def checked(self) -> bool:
        """Whether the last check went well."""
        with self._changed:
            return "check" not in self._problems

    def failed(self, source: Source, problem: str) -> None:
        """Note that a put or a check failed; each problem is logged at once, and again while it lasts."""
        with self._changed:
            self._problems[source] = problem
            now = time.monotonic()
            if now - self._told.get(problem, -REPEAT_SECONDS) >= REPEAT_SECONDS:
                self._told[problem] = now
                log.error("%s (faces wait; trying again)", problem)

    def succeeded(self, source: Source) -> None:
        """Note that a put or a check succeeded.

        A check does not outweigh a put that fails: a key may read and not write.
        """
        with self._changed:
            if not self._problems:
                return
            self._problems.pop("check", None)
            if source == "put":
                self._problems.clear()
            if not self._problems:
                log.info("the store works")
                self._told.clear()
                self._recoveries += 1
                self._changed.notify_all()

    def pause(self, seconds: float) -> bool:
        """Wait for better times, at most so long.

        Returns:
            False when there is nothing more to wait for, because the program stops.
        """
        with self._changed:
            seen = self._recoveries
            self._changed.wait_for(lambda: self._stopping or self._recoveries != seen, seconds)
            return not self._stopping

    def stop(self) -> None:
        """Let everybody who waits give up."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
