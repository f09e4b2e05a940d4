"""Limit the faces in flight, and decide when to send a face again.

A fixed time-out fails when the cloud is slow: 32 stores a second, 150 faces a second and a time-out of 3 s led to
13,957 resends in 100 s. So `SendWindow` derives the time-out from measured round trips (RFC 6298).

In-flight faces queue ahead of new ones in brokers and store. So `InFlightLimit` follows the measured queueing delay,
as LEDBAT does (RFC 6817).
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum

from face_app.common import settings

ROUND_TRIP_GAIN = 1 / 8
"""Weight of a new measurement in the smoothed round trip; RFC 6298, section 2 (alpha)."""
VARIATION_GAIN = 1 / 4
"""Weight of a new measurement in the variation of the round trip; RFC 6298, section 2 (beta)."""
MAX_DOUBLINGS = 30
"""Maximum exponent of the time-out; a smaller exponent already reaches every allowed `resend_cap`."""
TARGET_SECONDS = 0.5
"""Queueing delay that a backlog may cause, seconds; RFC 6817 allows 0.1 s, for voice packets."""
MIN_IN_FLIGHT = 16
"""Minimum of the limit: enough faces to occupy the workers of a subscriber."""
GROWTH = 16
"""Faces by which the limit grows per idle round trip; RFC 6817 uses one packet, for links with competing flows."""
BASE_MINUTES = 60
"""Minutes for which the shortest round trip is remembered. RFC 6817 uses 10 (BASE_HISTORY). But a backlog takes longer
to drain, and its own queueing delay would then count as the shortest round trip."""


class Lane(Enum):
    """Names the order in which a face was selected to be sent. Each lane has a share of the limit."""

    LIVE = "newest first"
    BACKLOG = "oldest first"


@dataclass
class _Flight:
    """Tracks one face in flight.

    Attributes:
        lane: Lane of the first attempt.
        sent: Time of the latest attempt, seconds.
        tries: Number of attempts.
        acknowledged: True after the broker's PUBACK.
        lost: True if the connection was lost before the PUBACK.
    """

    lane: Lane
    sent: float
    tries: int = 0
    acknowledged: bool = False
    lost: bool = False


class InFlightLimit:
    """Adapts the number of faces that may be in flight. All times are seconds on one monotonic clock."""

    def __init__(self, maximum: int) -> None:
        """Start with the minimum limit.

        Args:
            maximum: Upper bound of the limit (``sender.window``).
        """
        self._maximum = maximum
        self._minimum = min(MIN_IN_FLIGHT, maximum)
        self._limit = float(self._minimum)
        self._starting = True
        self._shortest: deque[tuple[int, float]] = deque(maxlen=BASE_MINUTES)
        self._reduced_at = 0.0

    @property
    def limit(self) -> int:
        """Return the maximum number of faces in flight now."""
        return int(self._limit)

    def record_round_trip(self, round_trip: float, now: float, *, in_flight: int) -> None:
        """Adapt the limit to a measured round trip.

        Args:
            round_trip: Seconds from the publish to the receipt.
            now: Current time.
            in_flight: Number of faces in flight when the receipt arrived, this face included.
        """
        minute = int(now // 60)
        if self._shortest and self._shortest[-1][0] == minute:
            _, earlier = self._shortest.pop()
            self._shortest.append((minute, min(round_trip, earlier)))
        else:
            self._shortest.append((minute, round_trip))
        queueing_delay = round_trip - min(shortest for _, shortest in self._shortest)
        off_target = (TARGET_SECONDS - queueing_delay) / TARGET_SECONDS
        self._starting = self._starting and off_target > 0.5
        if off_target > 0 and in_flight < self._limit / 2:
            return  # the limit did not restrict the rate, so the delay does not justify a larger limit (RFC 7661)
        # At the start each receipt adds one face, which doubles the limit per round trip (slow start).
        growth = 1.0 if self._starting else max(off_target, -1.0) * GROWTH / self._limit
        self._set(self._limit + growth)

    def record_loss(self, now: float, round_trip: float) -> None:
        """Halve the limit because a face is sent again, at most once per smoothed round trip."""
        if now - self._reduced_at > round_trip:
            self._reduced_at = now
            self._starting = False
            self._set(self._limit / 2)

    def _set(self, limit: float) -> None:
        self._limit = float(max(self._minimum, min(self._maximum, limit)))


class SendWindow:
    """Tracks the faces in flight: sent, and without a receipt. All times are seconds on one monotonic clock."""

    def __init__(self, sender: settings.Sender) -> None:
        self._settings = sender
        self._limit = InFlightLimit(sender.window)
        self._flights: dict[int, _Flight] = {}
        self._in_lane = dict.fromkeys(Lane, 0)
        self._unacknowledged: dict[int, int] = {}
        self._round_trip = 0.0
        self._variation = 0.0
        self._measured = False
        self._doublings = 0

    @property
    def rows(self) -> set[int]:
        """Return the rows of the faces in flight."""
        return set(self._flights)

    def __len__(self) -> int:
        return len(self._flights)

    @property
    def limit(self) -> int:
        """Return the maximum number of faces in flight now."""
        return self._limit.limit

    def capacity(self, lane: Lane) -> int:
        """Return the maximum number of faces that this lane may send now."""
        live = max(1, round(self.limit * self._settings.live_share))
        share = live if lane is Lane.LIVE else self.limit - live
        return max(0, share - self._in_lane[lane])

    def record_sent(self, row: int, message: int, now: float, lane: Lane = Lane.BACKLOG) -> None:
        """Record a first or repeated attempt.

        Args:
            row: Row of the face.
            message: Packet id of the publish.
            now: Current time.
            lane: Lane of a first attempt; a repeated one stays in its lane.
        """
        if row not in self._flights:
            self._flights[row] = _Flight(lane, now)
            self._in_lane[lane] += 1
        flight = self._flights[row]
        flight.sent = now
        flight.tries += 1
        flight.acknowledged = False
        lost, flight.lost = flight.lost, False
        self._unacknowledged[message] = row
        if flight.tries > 1 and not lost:
            # New faces start with the doubled time-out too (RFC 6298, 5.5 to 5.7). Otherwise, on an uplink slower than
            # the time-out, every face would be sent twice, and no round trip could ever be measured.
            self._doublings = max(self._doublings, flight.tries - 1)
            self._limit.record_loss(now, self._round_trip)

    def record_acknowledgement(self, message: int) -> int | None:
        """Record the broker's PUBACK for a publish; return the row of its face, or None if it is not known."""
        row = self._unacknowledged.pop(message, None)
        flight = self._flights.get(row) if row is not None else None
        if flight:
            flight.acknowledged = True
        return row

    def record_connection_lost(self) -> list[int]:
        """Record that no outstanding publish will be answered; return their rows in the order of their publishes."""
        rows = [row for row in self._unacknowledged.values() if row in self._flights]
        self._unacknowledged.clear()
        for row in rows:
            self._flights[row].lost = True
        return rows

    @property
    def unanswered(self) -> int:
        """Return the number of publishes that the broker has not answered."""
        return len(self._unacknowledged)

    @property
    def lost(self) -> list[int]:
        """Return the rows of the faces whose publish was lost with the connection, oldest first."""
        return sorted(row for row, flight in self._flights.items() if flight.lost)

    def record_receipt(self, row: int, now: float, up_since: float | None) -> None:
        """Record a receipt, and measure the round trip.

        The round trip is measured only if the face was sent once (Karn's algorithm) and the uplink was up all the time.

        Args:
            row: Row of the face.
            now: Current time.
            up_since: Time since which the uplink is up; None while it is down.
        """
        in_flight = len(self._flights)
        flight = self._remove(row)
        if flight and flight.tries == 1 and up_since is not None and flight.sent >= up_since:
            self._doublings = 0
            self._measure(now - flight.sent)
            self._limit.record_round_trip(now - flight.sent, now, in_flight=in_flight)

    def discard(self, row: int) -> None:
        """Stop tracking a face that no longer waits, for example after its eviction."""
        self._remove(row)

    def timeout(self, tries: int) -> float:
        """Return the seconds without a receipt after which a face is sent again.

        Args:
            tries: Number of attempts so far.
        """
        first = max(self._settings.resend_after, self._round_trip + 4 * self._variation)
        doublings = min(max(tries - 1, self._doublings), MAX_DOUBLINGS)
        return min(first * 2.0**doublings, self._settings.resend_cap)

    def overdue(self, now: float, up_since: float) -> list[int]:
        """Return the rows to send again, oldest first.

        Args:
            now: Current time.
            up_since: Time since which the uplink is up; time before it does not count.
        """
        return sorted(
            row
            for row, flight in self._flights.items()
            if flight.acknowledged and now - max(flight.sent, up_since) > self.timeout(flight.tries)
        )

    def probe(self, now: float) -> list[int]:
        """Return the oldest face to send again while the uplink is reported down, or no face.

        The report may be outdated, so one face is sent as a probe, at most one per `resend_cap`.
        """
        row, flight = min(self._flights.items(), key=lambda item: item[1].sent, default=(0, None))
        latest = max((flight.sent for flight in self._flights.values()), default=now)
        return [row] if flight and flight.acknowledged and now - latest > self._settings.resend_cap else []

    def _remove(self, row: int) -> _Flight | None:
        flight = self._flights.pop(row, None)
        if flight:
            self._in_lane[flight.lane] -= 1
        return flight

    def _measure(self, seconds: float) -> None:
        if not self._measured:
            self._measured = True
            self._round_trip = seconds
            self._variation = seconds / 2
            return
        self._variation += VARIATION_GAIN * (abs(self._round_trip - seconds) - self._variation)
        self._round_trip += ROUND_TRIP_GAIN * (seconds - self._round_trip)
