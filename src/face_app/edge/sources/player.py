"""The pace at which files are played."""

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Protocol

from face_app.edge.image import Image
from face_app.edge.sources.frame import Frame


class Reel(Protocol):
    """What one file holds.

    Attributes:
        length: Frames, as far as the file tells.
        seconds: How long a frame lasts on the source's clock.
        pause: Seconds between two frames when they are played at their own rate.
    """

    length: int
    seconds: float
    pause: float

    def images(self) -> Iterator[Image]:
        """Give every frame.

        Raises:
            SourceError: There is not one.
        """

    def close(self) -> None:
        """Let go of the file."""


class Player:
    """Turns reels into the frames of one run: one count, one clock, one pace.

    Nothing is skipped: where the program is slower than the file, the file takes longer.

    Attributes:
        count: Frames given so far.
    """

    def __init__(self, stop: threading.Event, *, fast: bool) -> None:
        self.count = 0
        self._stop = stop
        self._fast = fast
        self._elapsed = 0.0
        self._next = 0.0

    def play(self, reel: Reel) -> Iterator[Frame]:
        """Give the frames of one reel, at its own rate or as fast as they are read.

        Raises:
            SourceError: There is not one.
        """
        for image in reel.images():
            if not self._fast:
                self._next = max(self._next + reel.pause, time.monotonic())
                self._stop.wait(self._next - time.monotonic())
            if self._stop.is_set():
                return
            yield Frame(image, self.count, datetime.now(timezone.utc), self._elapsed)
            self.count += 1
            self._elapsed += reel.seconds
