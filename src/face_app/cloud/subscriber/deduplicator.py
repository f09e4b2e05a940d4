"""Deduplicate messages: remember those in progress and, for `RESULT_SECONDS`, their results."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from face_app.common.wire import Receipt

CAPACITY = 10_000
"""Maximum number of results in memory, about 1 kB each: more than the send windows of all edges."""

RESULT_SECONDS = 10.0
"""Seconds for which a copy is answered from memory. Such copies come in storms, after a connection was lost. Later the
object may be gone from the store, so the store is asked."""

Copy = TypeVar("Copy")


@dataclass(frozen=True)
class Identity:
    """Identifies a message; copies of the message compare equal.

    Attributes:
        topic: Topic of the message.
        sha256: Hex digest of its payload.
    """

    topic: str
    sha256: str


@dataclass(frozen=True)
class Processed:
    """Contains the result of a message that was stored, refused or erased.

    Attributes:
        edge: Recipient of the receipt; None if the topic names no edge.
        receipt: Receipt for the message and for each later copy.
    """

    edge: str | None
    receipt: Receipt


class Claim(Enum):
    """Answers a claim on a message that has no result yet."""

    GRANTED = "this caller stores it"
    JOINED = "another caller stores the same bytes; its result answers this copy too"


class Deduplicator(Generic[Copy]):
    """Tracks messages in progress and the latest results. Thread-safe."""

    def __init__(self, capacity: int = CAPACITY, clock: Callable[[], float] = time.monotonic) -> None:
        """Remember at most `capacity` results; `clock` returns seconds."""
        self._lock = threading.Lock()
        self._capacity = capacity
        self._clock = clock
        self._results: OrderedDict[Identity, tuple[Processed, float]] = OrderedDict()
        self._in_progress: dict[Identity, list[Copy]] = {}

    def claim(self, identity: Identity, copy: Copy) -> Processed | Claim:
        """Claim a message.

        Returns:
            The result if the message was processed just now. Otherwise `GRANTED`: the caller must store the message,
            then call `complete` or `abandon`; or `JOINED`: a copy is in progress, and its result answers this one too.
        """
        with self._lock:
            self._forget()
            if identity in self._results:
                return self._results[identity][0]
            if identity in self._in_progress:
                self._in_progress[identity].append(copy)
                return Claim.JOINED
            self._in_progress[identity] = []
            return Claim.GRANTED

    def complete(self, identity: Identity, result: Processed) -> list[Copy]:
        """Record the result of a claim; return the joined copies, which the caller must answer."""
        with self._lock:
            self._results[identity] = (result, self._clock())
            if len(self._results) > self._capacity:
                self._results.popitem(last=False)
            return self._in_progress.pop(identity)

    def abandon(self, identity: Identity) -> list[Copy]:
        """Close a claim without a result; return the joined copies."""
        with self._lock:
            return self._in_progress.pop(identity)

    def drop_copies(self, unwanted: Callable[[Copy], bool]) -> None:
        """Drop the unwanted joined copies: their broker redelivers them."""
        with self._lock:
            for copies in self._in_progress.values():
                copies[:] = [copy for copy in copies if not unwanted(copy)]

    def _forget(self) -> None:
        """Forget old results; they are in the order of their times."""
        oldest = self._clock() - RESULT_SECONDS
        while self._results and next(iter(self._results.values()))[1] < oldest:
            self._results.popitem(last=False)
