"""Find the faces whose publish ends the connection, and set them aside.

A broker or a proxy may limit the size of a message without announcing it, and close the connection. Sent again with the
others on the next connection, such a face would stop all of them. So the faces that were not acknowledged before a loss
are sent alone, and one that ends the connection again and again is set aside. A loss without a publish shows that the
network fails by itself.

All times are seconds on one monotonic clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

SUSPECTS = 16
"""Maximum number of suspects of one loss. A broker handles messages in order, so the culprit is one of the first."""
PROVEN = 3
"""Losses, each within moments of a lone publish, after which a face is set aside."""
MOMENTS = 10.0
"""Seconds after a publish in which a loss counts as its consequence; keepalive reports a dead network later."""
TRIAL_SECONDS = 30.0
"""Maximum seconds for which other faces wait for the answer to a lone publish."""
ASIDE_PAUSE = 60.0
"""Seconds from setting a face aside to the next attempt with one that is aside; doubled with each failure."""
MAX_ASIDE_PAUSE = 3600.0
"""Maximum seconds between two attempts: after a limit was raised, the faces pass within an hour, or at a restart."""


@dataclass
class _Suspect:
    """Counts the failures of one face.

    Attributes:
        size: Size in bytes.
        not_before: Earliest time of the next attempt.
        losses: Number of losses after its lone publish.
        strikes: Number of those within moments, since the network last failed by itself.
    """

    size: int
    not_before: float
    losses: int = 0
    strikes: int = 0


class Suspects:
    """Decides which face is sent alone, and which are set aside.

    Attributes:
        trial: Row of the face that is in flight alone; None if there is none.
        aside: Size in bytes of each face that is set aside, by row.
    """

    def __init__(self) -> None:
        self.trial: int | None = None
        self.aside: dict[int, int] = {}
        self._suspects: dict[int, _Suspect] = {}
        self._started = 0.0
        self._blocked_since: float | None = None
        self._largest_passed = 0
        self._pause = ASIDE_PAUSE
        self._next_aside = 0.0

    @property
    def rows(self) -> set[int]:
        """Return the rows of all suspects and of the faces that are set aside."""
        return {*self._suspects, *self.aside}

    @property
    def limit(self) -> int | None:
        """Return the presumed limit in bytes: the smallest face aside, unless a larger one passed; None: no limit."""
        smallest = min(self.aside.values(), default=0)
        return smallest if smallest > self._largest_passed else None

    def withholds(self, row: int, size: int) -> bool:
        """Return whether a face must not be sent with others.

        A face as large as one that is aside is set aside too. One as large as a suspect that has failed becomes a
        suspect, and waits for the verdict on that one.
        """
        limit, doubt = self.limit, self._doubt
        if limit is not None and size >= limit:
            self._suspects.pop(row, None)
            self.aside[row] = size
        elif doubt is not None and size >= doubt:
            self._suspects.setdefault(row, _Suspect(size, 0.0))
        return row in self.aside or row in self._suspects

    def connection_lost(self, unacknowledged: Mapping[int, int], now: float) -> int | None:
        """Record a loss.

        Args:
            unacknowledged: Row and size of each face whose publish was not answered, in the order of their publishes.
            now: Current time.

        Returns:
            Row of the face that is set aside now; None if there is none.
        """
        trial, self.trial = self.trial, None
        self._blocked_since = None
        for row, size in islice(unacknowledged.items(), SUSPECTS):
            if row not in self.aside:
                self._suspects.setdefault(row, _Suspect(size, now))
        if trial is not None and (trial in self.aside or trial in self._suspects):
            return self._failed(trial, now)
        if not unacknowledged:
            # The network fails by itself, so earlier losses prove nothing.
            for suspect in self._suspects.values():
                suspect.strikes = 0
        return None

    def too_large(self, row: int, size: int, now: float) -> None:
        """Set a face aside whose size the broker rejects."""
        self._end_trial(row)
        self._suspects[row] = _Suspect(size, now)
        self._set_aside(row, now)

    def acknowledged(self, row: int, size: int) -> None:
        """Record that a face passed. If it was aside, or disproves the presumed limit, all are sent again."""
        self._end_trial(row)
        self._suspects.pop(row, None)
        limit = self.limit
        self._largest_passed = max(self._largest_passed, size)
        if self.aside.pop(row, None) is not None or (limit is not None and size >= limit):
            self._suspects |= {each: _Suspect(size, 0.0) for each, size in self.aside.items()}
            self.aside.clear()
            self._pause = ASIDE_PAUSE

    def discard(self, row: int) -> None:
        """Forget a face that no longer waits."""
        self._end_trial(row)
        self._suspects.pop(row, None)
        self.aside.pop(row, None)

    def due(self, now: float, *, idle: bool) -> tuple[int | None, bool]:
        """Select the face to send alone.

        Args:
            now: Current time.
            idle: True if no publish waits for an answer.

        Returns:
            The row to send now, or None; and whether other faces must wait.
        """
        if self.trial is not None:
            if now - self._started < TRIAL_SECONDS:
                return None, True
            self._defer(self.trial, now)
        row = self._next(now)
        if row is None:
            self._blocked_since = None
            return None, False
        if self._blocked_since is None:
            self._blocked_since = now
        if not idle and now - self._blocked_since < TRIAL_SECONDS:
            return None, True
        return row, True

    def started(self, row: int, now: float) -> None:
        """Record that a face is in flight alone."""
        self.trial, self._started = row, now
        self._blocked_since = None

    @property
    def _doubt(self) -> int | None:
        """Return the size of the smallest suspect that has failed, unless a larger face passed; None: there is none."""
        smallest = min((each.size for each in self._suspects.values() if each.strikes), default=0)
        return smallest if smallest > self._largest_passed else None

    def _next(self, now: float) -> int | None:
        """Return the smallest suspect whose time has come, else the face that is aside for the longest time."""
        doubt = self._doubt
        ready = [
            (each.size, row)
            for row, each in self._suspects.items()
            if each.not_before <= now and (doubt is None or each.strikes or each.size < doubt)
        ]
        if ready:
            return min(ready)[1]
        return next(iter(self.aside), None) if now >= self._next_aside else None

    def _failed(self, row: int, now: float) -> int | None:
        """Record that the connection was lost while a face was in flight alone; return it if it is set aside now."""
        if row in self.aside:
            self._postpone(row, now)
            return None
        suspect = self._suspects[row]
        suspect.losses += 1
        suspect.strikes += now - self._started <= MOMENTS
        suspect.not_before = now + min(2.0**suspect.losses, ASIDE_PAUSE)
        if suspect.strikes < PROVEN:
            return None
        self._set_aside(row, now)
        return row

    def _set_aside(self, row: int, now: float) -> None:
        """Set a suspect aside, and all others that are as large."""
        self.aside[row] = self._suspects.pop(row).size
        for each, suspect in list(self._suspects.items()):
            self.withholds(each, suspect.size)
        self._next_aside = max(self._next_aside, now + ASIDE_PAUSE)

    def _postpone(self, row: int, now: float) -> None:
        """Put a face last in the order of the faces aside, and double their pause."""
        self.aside[row] = self.aside.pop(row)
        self._pause = min(2 * self._pause, MAX_ASIDE_PAUSE)
        self._next_aside = now + self._pause

    def _defer(self, row: int, now: float) -> None:
        """End a trial without an answer: the connection lives, so it proves nothing."""
        self.trial = None
        if row in self.aside:
            self._postpone(row, now)
        elif row in self._suspects:
            self._suspects[row].not_before = now + TRIAL_SECONDS

    def _end_trial(self, row: int) -> None:
        if row == self.trial:
            self.trial = None
