"""How many faces may be on their way at a time, so that a backlog does not delay the faces of now.

Every face on its way stands in the queues of brokers and store before those that come after it. So the window follows
the delay that it causes itself, as LEDBAT does (RFC 6817): it grows while the round trip is near the shortest one seen,
and shrinks when faces queue for longer than the target.
"""

from collections import deque

TARGET_SECONDS = 0.5
"""Queueing that a backlog may cause; RFC 6817 allows 0.1 s, for packets of voice calls."""
FEWEST = 16
"""Faces at a time, whatever is measured: enough to keep the workers of a subscriber busy."""
GAIN = 16
"""Faces by which the window grows in an idle round trip; RFC 6817 takes one packet, for links shared by strangers."""
MINUTES = 60
"""How long a shortest round trip counts. RFC 6817 takes 10 (BASE_HISTORY), but a backlog drains for longer than that,
and its own queue would pass for the way."""


class Pace:
    """The window's size now. All times are seconds on one monotonic clock."""

    def __init__(self, most: int) -> None:
        """Start small; never allow more than `most`."""
        self._most = most
        self._limit = float(min(FEWEST, most))
        self._starting = True
        self._shortest: deque[tuple[int, float]] = deque(maxlen=MINUTES)
        self._cut_at = 0.0

    @property
    def limit(self) -> int:
        """Faces that may be on their way."""
        return int(self._limit)

    def measured(self, round_trip: float, now: float, *, in_flight: int) -> None:
        """A face came through in `round_trip` seconds, while `in_flight` were on their way."""
        minute = int(now // 60)
        if self._shortest and self._shortest[-1][0] == minute:
            round_trip_then = self._shortest.pop()[1]
            self._shortest.append((minute, min(round_trip, round_trip_then)))
        else:
            self._shortest.append((minute, round_trip))
        queued = round_trip - min(shortest for _, shortest in self._shortest)
        off_target = (TARGET_SECONDS - queued) / TARGET_SECONDS
        self._starting = self._starting and off_target > 0.5
        if off_target > 0 and in_flight < self._limit / 2:
            return  # the window was not what held it back (RFC 7661)
        self._set(self._limit + (1.0 if self._starting else max(off_target, -1.0) * GAIN / self._limit))

    def lost(self, now: float, round_trip: float) -> None:
        """A face had to be sent again: halve the window, but once a round trip at most."""
        if now - self._cut_at > round_trip:
            self._cut_at = now
            self._starting = False
            self._set(self._limit / 2)

    def _set(self, limit: float) -> None:
        self._limit = max(min(FEWEST, self._most), min(float(self._most), limit))
