"""Pauses between attempts: each twice as long as the one before, up to a limit."""

from collections.abc import Iterator


def pauses(most: float) -> Iterator[float]:
    """Give the next pause in seconds: 1, 2, 4, ... `most`, without an end."""
    pause = 1.0
    while True:
        yield min(pause, most)
        pause = min(pause * 2, most)
