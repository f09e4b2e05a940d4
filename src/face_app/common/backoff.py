"""Compute exponential backoff."""

from collections.abc import Iterator


def pauses(most: float) -> Iterator[float]:
    """Yield pauses in seconds without end: 1, 2, 4, ... `most`."""
    pause = 1.0
    while True:
        yield min(pause, most)
        pause = min(pause * 2, most)
