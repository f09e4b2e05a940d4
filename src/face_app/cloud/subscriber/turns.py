"""Let edges take turns: no edge can use all of several workers, whatever it sends."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Container
from typing import Generic, TypeVar

SHARED_PART = 3 / 4
"""Part of a total that edges share; the rest remains free for an edge that sends nothing yet."""
SLOW_PART = 1 / 4
"""Part of the workers that all slow edges use together; at least one."""

Item = TypeVar("Item")


def share(total: int, edges: int) -> int:
    """Return how much of a total each of several edges may use; at least one."""
    return max(1, int(total * SHARED_PART) // max(1, edges))


class Turns(Generic[Item]):
    """Queues items by edge for a pool of workers. Thread-safe.

    Edges are served in turn, each in the order of its items. No edge has more than its share in work. So while fewer
    edges than workers are busy, the first item of another edge finds a free worker. Slow edges share few workers,
    however many they are.
    """

    def __init__(self, workers: int, slow: Container[str] = ()) -> None:
        """Create an empty queue.

        Args:
            workers: Number of threads that call `get`.
            slow: The slow edges at any time.
        """
        self._workers = workers
        self._slow = slow
        self._changed = threading.Condition()
        self._waiting: dict[str, deque[Item]] = {}
        self._in_work: Counter[str] = Counter()
        self._closed = False

    def __len__(self) -> int:
        """Return the number of items that no worker has taken."""
        with self._changed:
            return sum(map(len, self._waiting.values()))

    def put(self, edge: str, item: Item) -> bool:
        """Add the newest item of an edge; return False after `close`."""
        with self._changed:
            if self._closed:
                return False
            self._waiting.setdefault(edge, deque()).append(item)
            self._wake_one()
            return True

    def get(self) -> tuple[str, Item] | None:
        """Wait for the oldest item of the edge whose turn it is; the caller must call `done` after the work.

        Returns:
            Edge and item; None after `close`.
        """
        with self._changed:
            while not self._closed:
                turn = self._take()
                if turn:
                    self._wake_one()
                    return turn
                self._changed.wait()
            return None

    def get_nowait(self) -> tuple[str, Item] | None:
        """Return the next turn as `get` does, but None instead of a wait."""
        with self._changed:
            return self._take()

    def done(self, edge: str) -> None:
        """Record that a worker has finished an item of an edge."""
        with self._changed:
            self._in_work[edge] -= 1
            if not self._in_work[edge]:
                del self._in_work[edge]
            self._wake_one()

    def drop_newest(self, edge: str, count: int, unwanted: Callable[[Item], bool]) -> list[Item]:
        """Remove the newest of an edge's waiting items that are unwanted, at most `count`, and return them."""
        with self._changed:
            items = self._waiting.get(edge, deque())
            dropped = [item for item in reversed(items) if unwanted(item)][:count]
            rest = deque(item for item in items if item not in dropped)
            if rest:
                self._waiting[edge] = rest  # in place, so the edge retains its turn
            else:
                self._waiting.pop(edge, None)
            self._wake_one()  # fewer edges have larger shares
            return dropped

    def drop(self, unwanted: Callable[[Item], bool]) -> None:
        """Remove the unwanted items that wait."""
        with self._changed:
            rest = {edge: deque(item for item in items if not unwanted(item)) for edge, items in self._waiting.items()}
            self._waiting = {edge: items for edge, items in rest.items() if items}
            self._wake_one()

    def close(self) -> list[Item]:
        """Remove all items that wait, and return them; end every `get`."""
        with self._changed:
            self._closed = True
            waiting = [item for items in self._waiting.values() for item in items]
            self._waiting.clear()
            self._changed.notify_all()
            return waiting

    def _wake_one(self) -> None:
        """Wake one worker if an item may be taken. It wakes the next: to wake all for one item would cost CPU."""
        if self._next() is not None:
            self._changed.notify()

    def _next(self) -> str | None:
        limit = share(self._workers, len(self._waiting.keys() | self._in_work.keys()))
        room_for_slow: bool | None = None
        for edge in self._waiting:
            if self._in_work[edge] >= limit:
                continue
            if edge not in self._slow:
                return edge
            if room_for_slow is None:
                room_for_slow = self._has_room_for_slow()
            if room_for_slow:
                return edge
        return None

    def _has_room_for_slow(self) -> bool:
        in_work = sum(count for edge, count in self._in_work.items() if edge in self._slow)
        return in_work < max(1, int(self._workers * SLOW_PART))

    def _take(self) -> tuple[str, Item] | None:
        edge = self._next()
        if edge is None:
            return None
        items = self._waiting.pop(edge)
        item = items.popleft()
        if items:
            self._waiting[edge] = items  # a dict is in the order of insertion: this edge's next turn comes last
        self._in_work[edge] += 1
        return edge, item
