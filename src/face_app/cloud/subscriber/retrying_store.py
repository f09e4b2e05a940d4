"""Retry puts until the store accepts them, and check the store's health."""

import logging
import math
import threading
import time
from typing import Literal

from prometheus_client import Histogram

from face_app.cloud.stores.store import Store, Stored
from face_app.common.backoff import MAX_PAUSE, pauses
from face_app.common.errors import StoreError

log = logging.getLogger(__name__)

CHECK_SECONDS = 30.0
"""Seconds between two checks of a healthy store."""
ATTEMPTS = 4
"""Number of attempts after which a put yields its worker to other faces, if the store passes its checks: the object may
be the cause."""
PROOF_SECONDS = 10.0
"""Seconds for which a confirmed put proves that the store works. If another put fails in this time, its object is the
cause. An outage of puts alone, without one of checks, is noticed this much later. It exceeds the 7 s of pauses between
`ATTEMPTS` attempts, for which rejected objects can occupy all workers of their edge."""
HANGS_AFTER = 60.0
"""Seconds until an attempt counts as hung. Every store times out earlier, unless its mount hangs."""
REPEAT_SECONDS = 300.0
"""Seconds between log lines about a lasting problem, so that the latest lines of the log contain it."""

Operation = Literal["put", "check"]


class StoppedError(Exception):
    """Signals that the program stops before the store has accepted an object; the broker redelivers the message."""


class RetryingStore:
    """Retries each put until the store accepts it. Thread-safe."""

    def __init__(self, store: Store, seconds: Histogram) -> None:
        """Wrap a store.

        Args:
            store: Store to write to.
            seconds: Observes the duration of each confirmed put.
        """
        self._store = store
        self._seconds = seconds
        self._state = StoreState()
        self._attempts: dict[int, float] = {}

    def start(self) -> None:
        """Start a thread that checks the store now and periodically."""
        threading.Thread(target=self._check_periodically, name="store-check", daemon=True).start()

    def stop(self) -> None:
        """End every wait; the waiting puts raise `StoppedError`."""
        self._state.stop()

    @property
    def problem(self) -> str:
        """Return the reason why the store does not work; empty while it works."""
        if self._state.problem:
            return self._state.problem
        oldest = min(self._attempts.copy().values(), default=time.monotonic())
        seconds = time.monotonic() - oldest
        return f"the store has not answered for {seconds:.0f} s" if seconds > HANGS_AFTER else ""

    @property
    def works_since(self) -> float:
        """Return the time (monotonic) from which the store has worked; infinity while it does not."""
        return math.inf if self.problem else self._state.recovered_at

    def put(self, key: str, data: bytes, sha256: str) -> Stored:
        """Store bytes under a key; wait through an outage of any length.

        After a failed check nothing is stored until a check succeeds: an object could arrive in a wrong place.

        Raises:
            StoppedError: `stop` was called before the store accepted the bytes.
            StoreError: The store is healthy and rejects this object; a later retry may help.
            MessageError: The key is invalid.
        """
        waits = pauses(MAX_PAUSE)
        attempt = 0
        while self._state.wait_until_check_passes():
            attempt += 1
            try:
                stored = self._attempt(key, data, sha256)
            except StoreError as error:
                self._state.failed("put", str(error))
                if attempt >= ATTEMPTS and self._state.check_passed:
                    raise
            else:
                self._state.succeeded("put")
                return stored
            self._state.pause(next(waits))
        raise StoppedError

    def _attempt(self, key: str, data: bytes, sha256: str) -> Stored:
        thread = threading.get_ident()
        started = time.monotonic()
        self._attempts[thread] = started
        try:
            stored = self._store.put(key, data, sha256)
        finally:
            del self._attempts[thread]
        self._seconds.observe(time.monotonic() - started)
        return stored

    def _check_periodically(self) -> None:
        waits = pauses(MAX_PAUSE)
        while self._state.pause(CHECK_SECONDS if self._check() else next(waits)):
            if not self.problem:
                waits = pauses(MAX_PAUSE)

    def _check(self) -> bool:
        try:
            self._store.check()
        except StoreError as error:
            self._state.failed("check", str(error))
            return False
        except BaseException as error:  # a panic of native code is no Exception
            # An uncaught error would end the thread, and the last known state would stay for ever.
            log.exception("the check of the store failed unexpectedly")
            self._state.failed("check", f"the check of the store failed: {error!r}")
            return False
        self._state.succeeded("check")
        return True


class StoreState:
    """Tracks store health, logs changes, and wakes blocked writers when the store recovers.

    Attributes:
        recovered_at: Time (monotonic) of the last recovery.
    """

    def __init__(self) -> None:
        """Start unchecked."""
        self._changed = threading.Condition()
        self._problem_of: dict[Operation, str] = {"check": "the store was not checked yet"}
        self._logged: dict[str, float] = {}
        self._confirmed_at = -math.inf
        self.recovered_at = math.inf
        self._stopping = False

    @property
    def problem(self) -> str:
        """Return the reason why the store does not work; empty while it works."""
        with self._changed:
            return self._problem_of.get("put") or self._problem_of.get("check") or ""

    @property
    def check_passed(self) -> bool:
        """Return True if the latest check succeeded; False before the first."""
        with self._changed:
            return "check" not in self._problem_of

    def failed(self, operation: Operation, problem: str) -> None:
        """Record a failed put or check. A new problem is logged at once, a lasting one repeatedly.

        A put that fails while others pass is no problem of the store. Otherwise each of the others would count as a
        recovery, which wakes all writers and the check.
        """
        with self._changed:
            if operation == "put" and time.monotonic() - self._confirmed_at < PROOF_SECONDS:
                self._log(f"{problem} (the object waits, others passed; retrying)")
            else:
                self._problem_of[operation] = problem
                self._log(f"{problem} (faces wait; retrying)")

    def _log(self, line: str) -> None:
        now = time.monotonic()
        self._logged = {each: at for each, at in self._logged.items() if now - at < REPEAT_SECONDS}
        if line not in self._logged:
            self._logged[line] = now
            log.error("%s", line)

    def succeeded(self, operation: Operation) -> None:
        """Record a successful put or check.

        Neither clears the problem of the other. Credentials may allow reads and deny writes; an address that contains
        a bucket accepts writes, under wrong keys.
        """
        with self._changed:
            if operation == "put":
                self._confirmed_at = time.monotonic()
            if not self._problem_of.pop(operation, ""):
                return
            if not self._problem_of:
                log.info("the store works")
                self._logged.clear()
                self.recovered_at = time.monotonic()
            self._changed.notify_all()

    def wait_until_check_passes(self) -> bool:
        """Return at once if the latest check succeeded; otherwise wait for one that does.

        Returns:
            False when the program stops.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or "check" not in self._problem_of)
            return not self._stopping

    def pause(self, seconds: float) -> bool:
        """Wait until the store recovers, at most `seconds`.

        Returns:
            False when the program stops.
        """
        with self._changed:
            seen = self.recovered_at
            self._changed.wait_for(lambda: self._stopping or self.recovered_at != seen, seconds)
            return not self._stopping

    def stop(self) -> None:
        """Wake all waiting threads."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
