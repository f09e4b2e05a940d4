"""What is being stored now and what was stored lately, so that no copy is stored again."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from face_app.common.wire import Receipt

REMEMBERED = 10_000
"""Settled messages in memory, about 1 kB each: more than a window of every edge at hand."""

Waiter = TypeVar("Waiter")


@dataclass(frozen=True)
class Identity:
    """Equal for copies of one message.

    Attributes:
        topic: Where it was published.
        sha256: Hex digest of its payload.
    """

    topic: str
    sha256: str


@dataclass(frozen=True)
class Processed:
    """A message that the store has confirmed, kept or quarantined.

    Attributes:
        edge: Whom to send the receipt; None where nobody waits for one.
        receipt: The word on it, also for each later copy.
    """

    edge: str | None
    receipt: Receipt


class Claim(Enum):
    """What to do with a message that is not settled."""

    GRANTED = "store it"
    JOINED = "leave it to the one who is storing its copy"


class Ledger(Generic[Waiter]):
    """The messages at hand and the latest settled ones. Safe to use from several threads."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        """Remember so many settled messages."""
        self._lock = threading.Lock()
        self._remembered = remembered
        self._settled: OrderedDict[Identity, Processed] = OrderedDict()
        self._open: dict[Identity, list[Waiter]] = {}

    def claim(self, identity: Identity, waiter: Waiter) -> Processed | Claim:
        """Ask what to do with a message; a copy of one that is being stored joins it."""
        with self._lock:
            if settled := self._settled.get(identity):
                self._settled.move_to_end(identity)
                return settled
            if identity in self._open:
                self._open[identity].append(waiter)
                return Claim.JOINED
            self._open[identity] = []
            return Claim.GRANTED

    def settle(self, identity: Identity, settled: Processed) -> list[Waiter]:
        """Close a claim; the copies that joined meanwhile are the caller's to answer."""
        with self._lock:
            self._settled[identity] = settled
            if len(self._settled) > self._remembered:
                self._settled.popitem(last=False)
            return self._open.pop(identity)

    def forget_waiters(self) -> None:
        """Let go of every copy that has joined, for it will come again."""
        with self._lock:
            for waiters in self._open.values():
                waiters.clear()

    def give_up(self, identity: Identity) -> list[Waiter]:
        """Close a claim without a result; returns the copies that joined."""
        with self._lock:
            return self._open.pop(identity)
