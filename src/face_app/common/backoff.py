"""Compute exponential backoff."""

from collections.abc import Iterator


def pauses(maximum: float) -> Iterator[float]:
    """Yield pauses in seconds: 1, 2, 4, ... up to `maximum`, which is then repeated without end."""
    pause = 1.0
    while True:
        yield min(pause, maximum)
        pause = min(pause * 2, maximum)
