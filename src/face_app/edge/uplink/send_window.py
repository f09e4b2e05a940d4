"""Which faces are on their way, and when one is sent again.

A fixed time-out collapses when the cloud is slow: measured, 32 stores a second against 150 faces a second and a
time-out of 3 s made 13,957 resends in 100 s. So the time-out follows the round trips (RFC 6298: smoothed, plus four
times its variation) and doubles with every attempt at one face.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum

from face_app.common import settings

GAIN = 1 / 8  # of the smoothed round trip; RFC 6298, section 2
VARIATION_GAIN = 1 / 4  # of its variation
MOST_DOUBLINGS = 30  # any cap is reached by then


class Lane(Enum):
    """Why a face was chosen: each lane has a share of the window."""

    LIVE = "the newest first"
    BACKLOG = "the oldest first"


@dataclass
class _Flight:
    lane: Lane
    sent: float
    tries: int = 0
    answered: bool = False


class Window:
    """The faces that were sent and have no receipt. All times are seconds on one monotonic clock."""

    def __init__(self, sender: settings.Sender) -> None:
        self._settings = sender
        self._pace = InFlightLimit(sender.window)
        self._flights: dict[int, _Flight] = {}
        self._in_lane = dict.fromkeys(Lane, 0)
        self._unanswered: dict[int, int] = {}
        self._round_trip = 0.0
        self._variation = 0.0
        self._measured = False
        self._doublings = 0

    @property
    def rows(self) -> set[int]:
        """The rows of the faces on their way."""
        return set(self._flights)

    def __len__(self) -> int:
        return len(self._flights)

    @property
    def limit(self) -> int:
        """How many faces may be on their way now."""
        return self._pace.limit

    def room(self, lane: Lane) -> int:
        """How many more faces this lane may send."""
        live = max(1, round(self.limit * self._settings.live_share))
        share = live if lane is Lane.LIVE else self.limit - live
        return max(0, share - self._in_lane[lane])

    def sent(self, row: int, message: int, now: float, lane: Lane = Lane.BACKLOG) -> None:
        """A face was handed over as `message`, for the first time or again; a lane is kept."""
        if row not in self._flights:
            self._flights[row] = _Flight(lane, now)
            self._in_lane[lane] += 1
        flight = self._flights[row]
        flight.sent, flight.tries, flight.answered = now, flight.tries + 1, False
        self._unanswered[message] = row
        if flight.tries > 1:
            # New faces start with the doubled time-out too, or a way slower than it would never be measured
            # (RFC 6298, 5.5 to 5.7).
            self._doublings = max(self._doublings, flight.tries - 1)
            self._pace.lost(now, self._round_trip)

    def answered(self, message: int) -> None:
        """The broker has answered. Until then the client holds the message, and delivers it after a reconnect."""
        flight = self._flights.get(self._unanswered.pop(message, 0))
        if flight:
            flight.answered = True

    def settled(self, row: int, now: float, up_since: float | None) -> None:
        """A receipt came.

        Only a face that was sent once (Karn's rule), and over the way as it stands, tells a round trip.
        """
        in_flight = len(self._flights)
        flight = self._land(row)
        if flight and flight.tries == 1 and up_since is not None and flight.sent >= up_since:
            self._doublings = 0
            self._measure(now - flight.sent)
            self._pace.measured(now - flight.sent, now, in_flight=in_flight)

    def forget(self, row: int) -> None:
        """The face waits no longer, for another reason than a receipt of ours."""
        self._land(row)

    def _land(self, row: int) -> _Flight | None:
        flight = self._flights.pop(row, None)
        if flight:
            self._in_lane[flight.lane] -= 1
        return flight

    def _measure(self, seconds: float) -> None:
        if not self._measured:
            self._measured, self._round_trip, self._variation = True, seconds, seconds / 2
            return
        self._variation += VARIATION_GAIN * (abs(self._round_trip - seconds) - self._variation)
        self._round_trip += GAIN * (seconds - self._round_trip)

    def timeout(self, tries: int) -> float:
        """Seconds without a receipt until a face that was sent `tries` times is sent again."""
        once = max(self._settings.resend_after, self._round_trip + 4 * self._variation)
        doublings = min(max(tries - 1, self._doublings), MOST_DOUBLINGS)
        return min(once * 2.0**doublings, self._settings.resend_cap)

    def longest_due(self, now: float) -> list[int]:
        """Give the one face to send over a way that is told to be closed, for the teller may be wrong: one a cap."""
        row, flight = min(self._flights.items(), key=lambda item: item[1].sent, default=(0, None))
        latest = max((flight.sent for flight in self._flights.values()), default=now)
        return [row] if flight and flight.answered and now - latest > self._settings.resend_cap else []

    def overdue(self, now: float, up_since: float) -> list[int]:
        """Give the faces to send again, the oldest first, over a link that has been up since `up_since`."""
        return sorted(
            row
            for row, flight in self._flights.items()
            if flight.answered and now - max(flight.sent, up_since) > self.timeout(flight.tries)
        )


TARGET_SECONDS = 0.5
"""Queueing that a backlog may cause; RFC 6817 allows 0.1 s, for packets of voice calls."""
FEWEST = 16
"""Faces at a time, whatever is measured: enough to keep the workers of a subscriber busy."""
GAIN = 16
"""Faces by which the window grows in an idle round trip; RFC 6817 takes one packet, for links shared by strangers."""
MINUTES = 60
"""How long a shortest round trip counts. RFC 6817 takes 10 (BASE_HISTORY), but a backlog drains for longer than that,
and its own queue would pass for the way."""


class InFlightLimit:
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
