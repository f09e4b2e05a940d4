"""The pace at which files are played."""

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Protocol

from face_app.edge.metrics import SKIPPED
from face_app.edge.sources.decoder import Capture
from face_app.edge.sources.frame import Frame
from face_app.edge.sources.pixels import Pixels
from face_app.edge.sources.schedule import Schedule

APART = 2.0
"""Seconds of the source's clock between two files, or two rounds of one: longer than a track lives unseen, for each
file stands by itself."""


class Clip(Capture, Protocol):
    """What one file holds.

    Attributes:
        length: Frames, as far as the file tells.
        at: Seconds from the first frame to the one that was grabbed last.
        last: Seconds for which the last frame is shown.
        alone: Whether a frame of it has nothing to do with any other.
    """

    length: int
    at: float
    last: float
    alone: bool


class Player:
    """Turns reels into the frames of one run: one count, one clock, one pace.

    Nothing is missed: where the program is slower than the file, the file takes longer.

    Attributes:
        count: Frames that came so far.
        broken: Those of them that were left out because they were broken.
    """

    def __init__(self, stop: threading.Event, schedule: Schedule, pixels: Pixels, *, fast: bool) -> None:
        self.count = 0
        self.broken = 0
        self._stop = stop
        self._schedule = schedule
        self._pixels = pixels
        self._fast = fast
        self._elapsed = 0.0
        self._next = 0.0

    def play(self, reel: Clip) -> Iterator[Frame]:
        """Give the frames of one reel, at its own rate or as fast as they are read.

        Raises:
            SourceError: There is not one.
        """
        begun, before = self._elapsed, 0.0
        while reel.grab():
            self._wait(reel.at - before)
            if self._stop.is_set():
                return
            index, elapsed, before = self.count, begun + reel.at, reel.at
            self.count += 1
            self._elapsed = elapsed + APART
            if not self._schedule.due(elapsed):
                SKIPPED.inc()
                continue
            image = self._pixels.image(reel.retrieve())
            if image is None:
                self.broken += 1
                continue
            self._schedule.took(elapsed)
            yield Frame(image, index, datetime.now(timezone.utc), elapsed, alone=reel.alone)
        self._wait(reel.last)

    def _wait(self, seconds: float) -> None:
        """Wait until so long after the frame before; a program that is late does not hurry."""
        if not self._fast:
            self._next = max(self._next + seconds, time.monotonic())
            self._stop.wait(self._next - time.monotonic())
