"""Limit what each edge may have in flight, so that one edge fills neither the memory nor the receive window."""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from face_app.cloud.subscriber.turns import share

BUDGET_BYTES = 64 * 2**20
"""Maximum bytes of all messages in flight, besides one message of each edge; several brokers divide it."""
OVERHEAD_BYTES = 2_048
"""Bytes of memory that each message needs besides its payload; an empty one too."""
PATIENCE_SECONDS = 1.0
"""Age of an edge's oldest message in flight from which the edge counts as slow. An honest sender limits the messages in
flight so that they queue for half a second, in the broker and here together."""
FULL = 7 / 8
"""Part of the receive window that is in use from which slow edges leave room for others."""


@dataclass
class _Edge:
    """Contains what one edge has in flight.

    Attributes:
        bytes: Memory of all its messages.
        messages: Size and arrival (monotonic) of each message that takes a place of the window, oldest first.
        outside: Size of each message that takes none.
    """

    bytes: int = 0
    messages: dict[int, tuple[int, float]] = field(default_factory=dict)
    outside: dict[int, int] = field(default_factory=dict)

    def remove(self, number: int) -> int:
        """Remove a message; return its size."""
        size = self.outside.pop(number) if number in self.outside else self.messages.pop(number)[0]
        self.bytes -= size
        return size


class Shares:
    """Counts the messages in flight, from arrival to acknowledgement. Thread-safe.

    A message over the share of its edge is declined: acknowledged without a receipt. Its edge sends it again. So the
    broker can deliver the messages of other edges, which wait behind it in one queue.

    A message at QoS 0 takes no place of the window, so the broker delivers any number of them. They get as many places
    of their own. One over its share is dropped, and no edge sends it again; face-app sends none.
    """

    def __init__(self, places: int, clock: Callable[[], float] = time.monotonic, *, budget: int = BUDGET_BYTES) -> None:
        """Start with nothing in flight.

        Args:
            places: Maximum number of messages that the broker delivers without an acknowledgement.
            clock: Returns seconds.
            budget: Maximum bytes of all messages in flight, besides one message of each edge.
        """
        self._places = places
        self._budget = budget
        self._clock = clock
        self._lock = threading.Lock()
        self._edges: dict[str, _Edge] = {}
        self._bytes = 0
        self._numbers = itertools.count()
        self._left: deque[tuple[str, int]] = deque()

    @property
    def bytes(self) -> int:
        """Return the bytes in flight."""
        with self._lock:
            self._remove_left()
            return self._bytes

    def enter(self, edge: str, size: int, qos: int = 1) -> int | None:
        """Count a message, unless its edge has used up its share.

        Args:
            edge: Name of the edge.
            size: Bytes of the payload.
            qos: Quality of service with which the broker delivered it.

        Returns:
            Number for `leave`; None if the message must be declined.
        """
        size += OVERHEAD_BYTES
        with self._lock:
            self._remove_left()
            used = self._edges.get(edge)
            if not (self._has_room(used, size) if qos else self._has_place_outside(used, size)):
                return None
            used = self._edges.setdefault(edge, _Edge())
            number = next(self._numbers)
            if qos:
                used.messages[number] = (size, self._clock())
            else:
                used.outside[number] = size
            used.bytes += size
            self._bytes += size
            return number

    def _has_room(self, used: _Edge | None, size: int) -> bool:
        # The first message of an edge is always accepted: otherwise a large one could never pass.
        if not used or not used.messages:
            return True
        return size <= min(share(self._budget, len(self._edges)) - used.bytes, self._budget - self._bytes)

    def _has_place_outside(self, used: _Edge | None, size: int) -> bool:
        edges = len(self._edges) + (used is None)
        if sum(len(each.outside) for each in self._edges.values()) >= self._places:
            return False
        used = used or _Edge()
        free = min(share(self._budget, edges) - used.bytes, self._budget - self._bytes)
        return size <= free and len(used.outside) < share(self._places, edges)

    def leave(self, edge: str, number: int) -> None:
        """Record that a message is no longer in flight.

        This method takes no lock, because the collector of unused objects may call it at any point.
        """
        self._left.append((edge, number))

    def excess(self, edge: str, since: float) -> int:
        """Return how many messages over its share an edge has in flight, if they are slow and the window is full.

        Args:
            edge: Name of the edge.
            since: Time from which the store has worked; it is not the edge's fault that messages waited before.
        """
        with self._lock:
            self._remove_left()
            used = self._edges.get(edge)
            places_used = sum(len(each.messages) for each in self._edges.values())
            if not used or not used.messages or places_used < FULL * self._places:
                return 0
            _, arrived = next(iter(used.messages.values()))
            if self._clock() - max(arrived, since) < PATIENCE_SECONDS:
                return 0
            return max(0, len(used.messages) - share(self._places, len(self._edges)))

    def _remove_left(self) -> None:
        while self._left:
            edge, number = self._left.popleft()
            used = self._edges[edge]
            self._bytes -= used.remove(number)
            if not used.messages and not used.outside:
                del self._edges[edge]
