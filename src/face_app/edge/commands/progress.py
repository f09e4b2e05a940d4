"""Log the progress of a run periodically."""

import logging
import time
from collections.abc import Callable

from face_app.edge.sources.frame import Source

log = logging.getLogger(__name__)

LIVE_SECONDS = 60.0
"""Seconds between two lines of a run without an end: they fill a log."""
FINITE_SECONDS = 1.0
"""Seconds between two lines of a run with an end: they show on a terminal that it proceeds."""


def interval_of(source: Source) -> float:
    """Return the seconds between two lines of a run with this source."""
    return LIVE_SECONDS if source.live else FINITE_SECONDS


class Progress:
    """Logs the number of frames, and a description of their faces, periodically.

    Attributes:
        frames: Number of frames so far.
    """

    def __init__(self, expected_frames: int | None, interval: float, describe: Callable[[], str]) -> None:
        """Start the first interval; the first line is due at its end.

        Args:
            expected_frames: Expected number of frames; None if unknown.
            interval: Seconds between two log lines.
            describe: Returns the rest of the line, such as the state of the faces.
        """
        self.frames = 0
        self._expected_frames = expected_frames
        self._interval = interval
        self._describe = describe
        self._logged_at = time.monotonic()

    def update(self, frames: int) -> None:
        """Set the number of frames so far, and log if the interval is over."""
        self.frames = frames
        self.log_if_due()

    def log_if_due(self) -> None:
        """Log the progress if the interval is over."""
        if time.monotonic() - self._logged_at >= self._interval:
            self._logged_at = time.monotonic()
            share = f" ({min(100, 100 * self.frames // self._expected_frames)} %)" if self._expected_frames else ""
            log.info("frames %d%s, %s", self.frames, share, self._describe())
