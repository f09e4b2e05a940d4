"""Log the progress of a run at a fixed interval."""

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Progress:
    """Logs the number of frames, and the state of their faces, at a fixed interval.

    Attributes:
        frames: Number of frames so far.
    """

    def __init__(self, length: int | None, seconds: float, describe: Callable[[], str]) -> None:
        """Start the first interval.

        Args:
            length: Expected number of frames; None if unknown.
            seconds: Seconds between two log lines.
            describe: Returns the state of the faces as text.
        """
        self.frames = 0
        self._length = length
        self._seconds = seconds
        self._describe = describe
        self._logged_at = time.monotonic()

    def update(self, frames: int) -> None:
        """Set the number of frames so far, and log if the interval is over."""
        self.frames = frames
        self.log_if_due()

    def log_if_due(self) -> None:
        """Log the progress if the interval is over."""
        if time.monotonic() - self._logged_at >= self._seconds:
            self._logged_at = time.monotonic()
            share = f" ({min(100, 100 * self.frames // self._length)} %)" if self._length else ""
            log.info("frames %d%s, %s", self.frames, share, self._describe())
