"""Compute exponential backoff."""

from collections.abc import Iterator

MAX_PAUSE = 30.0
"""Maximum pause, seconds, where no setting limits it: the end of an outage is noticed within half a minute."""


def pauses(maximum: float) -> Iterator[float]:
    """Yield pauses in seconds: 1, 2, 4, ... up to `maximum`, which is then repeated without end."""
    pause = 1.0
    while True:
        yield min(pause, maximum)
        pause = min(pause * 2, maximum)
