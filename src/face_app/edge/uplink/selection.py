"""Select the faces to publish in one round of the sender."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from face_app.edge.outbox.outbox import Outbox
from face_app.edge.uplink.send_window import Lane, SendWindow
from face_app.edge.uplink.suspects import Suspects

BATCH = 50
"""Maximum number of faces of one kind sent before the next receipts are applied."""


@dataclass(frozen=True)
class Batch:
    """Contains faces to publish together.

    Attributes:
        rows: Rows of the faces, in the order of their publishes.
        lane: Lane of the faces that are not in flight yet.
        overdue: True if their receipts are overdue.
        alone: True if no other face may be in flight with them.
    """

    rows: list[int]
    lane: Lane = Lane.BACKLOG
    overdue: bool = False
    alone: bool = False


class Selection:
    """Selects faces: suspects alone, then lost, new and overdue ones.

    Attributes:
        larger: Rows of the faces that exceed the broker's limit.
    """

    def __init__(self, outbox: Outbox, window: SendWindow, suspects: Suspects) -> None:
        """Prepare for the first round.

        Args:
            outbox: Provides the waiting faces.
            window: Limits the faces in flight.
            suspects: Faces that may be larger than a limit that the broker does not announce.
        """
        self.larger: set[int] = set()
        self._outbox = outbox
        self._window = window
        self._suspects = suspects

    def batches(self, up_since: float | None) -> Iterator[Batch]:
        """Yield the batches of a round. Each depends on what was sent of the earlier ones.

        Args:
            up_since: Time since which the uplink is up; None while it is down.
        """
        row, others_wait = self._suspects.due(time.monotonic(), idle=not self._window.unanswered)
        if row is not None:
            yield Batch([row], alone=True)
        if others_wait:
            return
        yield Batch(self._lost())
        yield Batch(self._new(Lane.LIVE, self._outbox.newest_pending), Lane.LIVE)
        yield Batch(self._new(Lane.BACKLOG, self._outbox.oldest_pending))
        yield Batch(self._overdue(up_since), overdue=True)

    def _lost(self) -> list[int]:
        """Return faces that were in flight when the connection was lost."""
        suspects = self._suspects.rows
        return [row for row in self._window.lost if row not in suspects][:BATCH]

    def _new(self, lane: Lane, pending: Callable[[int], list[int]]) -> list[int]:
        """Return the first waiting faces of a lane, as many as its share of the window allows."""
        capacity = min(self._window.capacity(lane), BATCH)
        if not capacity:
            return []
        excluded = self._window.rows | self._suspects.rows | self.larger
        rows = [row for row in pending(len(excluded) + capacity) if row not in excluded]
        # "Newest first" applies to the selection. The selected faces are sent oldest first.
        return sorted(rows[:capacity])

    def _overdue(self, up_since: float | None) -> list[int]:
        """Return faces whose receipt is overdue; while the uplink is reported down, one probe face."""
        now = time.monotonic()
        return self._window.probe(now) if up_since is None else self._window.overdue(now, up_since)[:BATCH]
