"""Limit the attempts to log in."""

import time
from collections import deque
from ipaddress import IPv6Address, ip_address
from threading import Lock

WINDOW_SECONDS = 300.0
"""Seconds for which a failure counts."""
MOST_PER_USER = 5
"""Failures of one user from one address within the window. An attacker at another address blocks no user."""
MOST_PER_ADDRESS = 20
"""Failures of one address for all names."""
MOST_KNOWN = 10_000
"""Maximum number of remembered names and addresses; the oldest is forgotten first."""


class LoginLimit:
    """Counts failures by address and user. Thread-safe."""

    def __init__(self) -> None:
        self._failures: dict[tuple[str, str], deque[float]] = {}
        self._lock = Lock()

    def wait(self, address: str, user: str) -> float:
        """Return the seconds until the next attempt is allowed; 0: now."""
        network = _network(address)
        with self._lock:
            return max(self._wait((network, user), MOST_PER_USER), self._wait((network, ""), MOST_PER_ADDRESS))

    def failed(self, address: str, user: str) -> None:
        """Count a failure."""
        network = _network(address)
        with self._lock:
            for place in ((network, user), (network, "")):
                # The newest is last, so that the oldest is forgotten first.
                times = self._failures.pop(place, deque(maxlen=MOST_PER_ADDRESS))
                times.append(time.monotonic())
                self._failures[place] = times
            while len(self._failures) > MOST_KNOWN:
                del self._failures[next(iter(self._failures))]

    def succeeded(self, address: str, user: str) -> None:
        """Forget the failures of a user from this address."""
        with self._lock:
            self._failures.pop((_network(address), user), None)

    def _wait(self, place: tuple[str, str], most: int) -> float:
        times = self._failures.get(place, deque())
        recent = [at for at in times if at > time.monotonic() - WINDOW_SECONDS]
        return max(0.0, recent[-most] + WINDOW_SECONDS - time.monotonic()) if len(recent) >= most else 0.0


def _network(address: str) -> str:
    """Return what one client can choose from: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)
