"""A store that may be down for days, and callers that can wait."""

import logging
import threading
import time
from typing import Literal

from prometheus_client import Histogram

from face_app.cloud.stores.store import Store, Stored
from face_app.common.errors import StoreError

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
CHECK_EVERY = 30.0
ATTEMPTS = 4
"""After so many a put gives its place to others, where the store as a whole is well: it may be this one key."""
HANGS_AFTER = 60.0
"""Seconds for one attempt; each kind of store gives up sooner by itself, unless its mount hangs."""


class StoppedError(Exception):
    """The program ends before the store took the object; the broker sends the message again."""


class RetryingStore:
    """Tries each put until the store takes it. Safe to use from several threads."""

    def __init__(self, store: Store, seconds: Histogram) -> None:
        """Be patient with a store.

        Args:
            store: Which.
            seconds: Observes how long each confirmed put took.
        """
        self._store = store
        self._seconds = seconds
        self._state = StoreState()
        self._attempts: dict[int, float] = {}

    def start(self) -> None:
        """Check the store now and from time to time, in a thread of its own."""
        threading.Thread(target=self._keep_checking, name="store-check", daemon=True).start()

    def stop(self) -> None:
        """Give up everything that waits."""
        self._state.stop()

    @property
    def problem(self) -> str:
        """Why the store does not work; empty when it does as far as we know."""
        begun = min(self._attempts.copy().values(), default=time.monotonic())
        hangs_for = time.monotonic() - begun
        return self._state.problem or (
            f"the store has not answered for {hangs_for:.0f} s" if hangs_for > HANGS_AFTER else ""
        )

    def put(self, key: str, data: bytes, sha256: str) -> Stored:
        """Keep bytes under a key, however long an outage of the store takes.

        Raises:
            StoppedError: `stop` was called before the store took them.
            StoreError: The store is well and does not take these; trying them again later may help.
            MessageError: The key is not one.
        """
        attempt, pause = 0, FIRST_PAUSE
        while True:
            attempt += 1
            try:
                stored = self._attempt(key, data, sha256)
            except StoreError as error:
                self._state.failed("put", str(error))
                if attempt >= ATTEMPTS and self._state.checked:
                    raise
            else:
                self._state.succeeded("put")
                return stored
            if not self._state.pause(pause):
                raise StoppedError
            pause = min(2 * pause, LONGEST_PAUSE)

    def _attempt(self, key: str, data: bytes, sha256: str) -> Stored:
        me, begun = threading.get_ident(), time.monotonic()
        self._attempts[me] = begun
        try:
            stored = self._store.put(key, data, sha256)
        finally:
            del self._attempts[me]
        self._seconds.observe(time.monotonic() - begun)
        return stored

    def _keep_checking(self) -> None:
        pause = FIRST_PAUSE
        while self._state.pause(CHECK_EVERY if self._check() else pause):
            pause = min(2 * pause, LONGEST_PAUSE) if self.problem else FIRST_PAUSE

    def _check(self) -> bool:
        try:
            self._store.check()
        except StoreError as error:
            self._state.failed("check", str(error))
            return False
        except Exception as error:
            # Nobody would ever check again if this ended the thread, and the last word on the store would stand.
            log.exception("the check of the store failed in a way nobody foresaw")
            self._state.failed("check", f"the check of the store failed: {error!r}")
            return False
        self._state.succeeded("check")
        return True


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
