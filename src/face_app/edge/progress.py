"""A line now and then that tells how far a run is."""

import logging
import time

from face_app.edge.outbox import Outbox

log = logging.getLogger(__name__)


class Progress:
    """Counts frames and tells, at most every `seconds`, how they and the faces of this run are doing."""

    def __init__(self, outbox: Outbox, length: int | None, seconds: float) -> None:
        """Start counting.

        Args:
            outbox: Counts the faces.
            length: Frames to come, where that is known.
            seconds: Between two lines.
        """
        self.frames = 0
        self._outbox = outbox
        self._length = length
        self._seconds = seconds
        self._told = time.monotonic()

    def frame(self) -> None:
        """One more frame was looked at."""
        self.frames += 1
        self.tell()

    def tell(self) -> None:
        """Tell, where it is time to."""
        if time.monotonic() - self._told >= self._seconds:
            self._told = time.monotonic()
            self.say()

    def say(self) -> None:
        """Tell now."""
        tally = self._outbox.tally()
        share = f" ({min(100, 100 * self.frames // self._length)} %)" if self._length else ""
        log.info(
            "frames %d%s, faces %d: stored %d, waiting %d, refused %d",
            self.frames,
            share,
            tally.waiting + tally.stored + tally.refused + tally.expired,
            tally.stored,
            tally.waiting,
            tally.refused,
        )
