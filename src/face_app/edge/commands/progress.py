"""A line now and then that tells how far a run is."""

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Progress:
    """Tells, at most every `seconds`, how many frames came, and what became of them.

    Attributes:
        frames: That came so far.
    """

    def __init__(self, length: int | None, seconds: float, faces: Callable[[], str]) -> None:
        """Start counting.

        Args:
            length: Frames to come, where that is known.
            seconds: Between two lines.
            faces: Says how the faces of this run are doing.
        """
        self.frames = 0
        self._length = length
        self._seconds = seconds
        self._faces = faces
        self._told = time.monotonic()

    def reached(self, frames: int) -> None:
        """So many frames came."""
        self.frames = frames
        self.tell()

    def tell(self) -> None:
        """Tell, where it is time to."""
        if time.monotonic() - self._told >= self._seconds:
            self._told = time.monotonic()
            share = f" ({min(100, 100 * self.frames // self._length)} %)" if self._length else ""
            log.info("frames %d%s, %s", self.frames, share, self._faces())
