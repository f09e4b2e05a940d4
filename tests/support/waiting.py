"""Waits for a condition."""

import time
from collections.abc import Callable


def until(condition: Callable[[], object], seconds: float = 90) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.02)
