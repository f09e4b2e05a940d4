"""Contain messages until one thread reads them: a flood of one edge neither fills the memory nor delays others."""

import threading
from typing import Generic, TypeVar

MOST_BYTES = 64 * 2**20
"""Maximum memory of all messages that wait."""
LANE_BYTES = 8 * 2**20
"""Maximum memory of the messages of one lane."""
LANE_MESSAGES = 200
"""Maximum number of messages of one lane: as many as a broker delivers without an acknowledgement."""
OVERHEAD_BYTES = 1_024
"""Bytes of memory that each message needs besides its payload."""

Item = TypeVar("Item")


class Inbox(Generic[Item]):
    """Queues messages in lanes, one for each sender. Thread-safe.

    Lanes take turns. In a lane, a message replaces one with the same key: so of a state only the newest is read.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lanes: dict[str, dict[object, tuple[Item, int]]] = {}
        self._sizes: dict[str, int] = {}
        self._bytes = 0
        self._closed = False

    @property
    def bytes(self) -> int:
        """Return the memory of all messages that wait."""
        with self._changed:
            return self._bytes

    def put(self, lane: str, key: object, item: Item, size: int) -> bool:
        """Add a message, or replace the one with its key.

        Args:
            lane: Sender, which takes turns with others.
            key: Whose newest message it is; a unique one for a message that replaces none.
            item: The message.
            size: Bytes of its payload.

        Returns:
            False if it is dropped: the lane or the memory is full, or after `close`.
        """
        size += OVERHEAD_BYTES
        with self._changed:
            messages = self._lanes.get(lane, {})
            more = size - messages[key][1] if key in messages else size
            full = key not in messages and len(messages) >= LANE_MESSAGES
            used = self._sizes.get(lane, 0)
            # A lane uses no more than what remains free: so there is room for another one, however many are full.
            if self._closed or full or used + more > min(LANE_BYTES, MOST_BYTES - self._bytes - more):
                return False
            self._lanes.setdefault(lane, messages)[key] = (item, size)
            self._sizes[lane] = used + more
            self._bytes += more
            self._changed.notify()
            return True

    def get(self) -> Item | None:
        """Wait for the next message; return None after `close`, once none waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._lanes or self._closed)
            return self._take() if self._lanes else None

    def close(self) -> None:
        """Accept no more messages."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self) -> Item:
        lane = next(iter(self._lanes))
        messages = self._lanes.pop(lane)
        item, size = messages.pop(next(iter(messages)))
        self._bytes -= size
        self._sizes[lane] -= size
        if messages:
            self._lanes[lane] = messages  # the last in the order of turns
        else:
            del self._sizes[lane]
        return item
