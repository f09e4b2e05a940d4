"""Which faces are on their way, and when one is sent again.

A fixed time-out collapses when the cloud is slow: measured, 32 stores a second against 150 faces a second and a
time-out of 3 s made 13,957 resends in 100 s. So the time-out follows the round trips (RFC 6298: smoothed, plus four
times its variation) and doubles with every attempt at one face.
"""

from dataclasses import dataclass

from face_app import settings

GAIN = 1 / 8  # of the smoothed round trip; RFC 6298, section 2
VARIATION_GAIN = 1 / 4  # of its variation
MOST_DOUBLINGS = 30  # any cap is reached by then


@dataclass
class _Flight:
    sent: float
    tries: int = 0
    answered: bool = False


class Window:
    """The faces that were sent and have no receipt. All times are seconds on one monotonic clock."""

    def __init__(self, sender: settings.Sender) -> None:
        self._settings = sender
        self._flights: dict[int, _Flight] = {}
        self._unanswered: dict[int, int] = {}
        self._round_trip = 0.0
        self._variation = 0.0
        self._measured = False

    @property
    def room(self) -> int:
        """How many more faces may be on their way."""
        return max(0, self._settings.window - len(self._flights))

    @property
    def empty(self) -> bool:
        """Whether no face is on its way."""
        return not self._flights

    def sent(self, sequence: int, message: int, now: float) -> None:
        """A face was handed over as `message`, for the first time or again."""
        flight = self._flights.setdefault(sequence, _Flight(now))
        flight.sent, flight.tries, flight.answered = now, flight.tries + 1, False
        self._unanswered[message] = sequence

    def answered(self, message: int) -> None:
        """The broker has answered. Until then the client holds the message, and delivers it after a reconnect."""
        flight = self._flights.get(self._unanswered.pop(message, 0))
        if flight:
            flight.answered = True

    def settled(self, sequence: int, now: float) -> None:
        """A receipt came. Only a face that was sent once tells a round trip (Karn's rule)."""
        flight = self._flights.pop(sequence, None)
        if flight and flight.tries == 1:
            self._measure(now - flight.sent)

    def forget(self, sequence: int) -> None:
        """The face waits no longer, for another reason than a receipt of ours."""
        self._flights.pop(sequence, None)

    def _measure(self, seconds: float) -> None:
        if not self._measured:
            self._measured, self._round_trip, self._variation = True, seconds, seconds / 2
            return
        self._variation += VARIATION_GAIN * (abs(self._round_trip - seconds) - self._variation)
        self._round_trip += GAIN * (seconds - self._round_trip)

    def timeout(self, tries: int) -> float:
        """Seconds without a receipt until a face that was sent `tries` times is sent again."""
        once = max(self._settings.resend_after, self._round_trip + 4 * self._variation)
        return min(once * 2.0 ** min(tries - 1, MOST_DOUBLINGS), self._settings.resend_cap)

    def overdue(self, now: float, up_since: float) -> list[int]:
        """Give the faces to send again, the oldest first, over a link that has been up since `up_since`."""
        return sorted(
            sequence
            for sequence, flight in self._flights.items()
            if flight.answered and now - max(flight.sent, up_since) > self.timeout(flight.tries)
        )
