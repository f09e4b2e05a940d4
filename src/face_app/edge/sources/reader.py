"""Opens and reads a live capture in a thread of its own, and keeps the newest frame only."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from face_app.common.errors import SourceError
from face_app.edge.image import Image
from face_app.edge.metrics import MISSED, SKIPPED
from face_app.edge.sources.decoder import LiveCapture
from face_app.edge.sources.pixels import Pixels
from face_app.edge.sources.schedule import Schedule

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LatestFrame:
    """One frame as it was read.

    Attributes:
        image: H x W x 3, BGR.
        number: Counts from 0 in one reader.
        captured_at: Wall time of the capture (aware).
        at: The same moment on the monotonic clock, seconds.
    """

    image: Image
    number: int
    captured_at: datetime
    at: float


class Reader(threading.Thread):
    """One capture. An open or a read that never returns holds up this thread and nothing else.

    Attributes:
        count: Frames that came, whatever became of them.
        broken: Whether the frame that was converted last came broken.
        heard: Moment of the start, or at which the last frame came while they are not broken; monotonic, seconds.
    """

    def __init__(self, name: str, connect: Callable[[], LiveCapture], schedule: Schedule, pixels: Pixels) -> None:
        super().__init__(name=f"reader of {name}", daemon=True)
        self.count = 0
        self.heard = time.monotonic()
        self._source = name
        self._connect = connect
        self._schedule = schedule
        self._pixels = pixels
        self.broken = False
        self._closed = False
        self._newest: LatestFrame | None = None
        self._end: SourceError | None = None
        self._news = threading.Condition()

    def run(self) -> None:
        """Read until closed or lost."""
        end = SourceError(f"{self._source} gives no more frames")
        try:
            self._read(self._connect())
        except SourceError as error:
            end = error
        except Exception as error:
            log.exception("%s cannot be read", self._source)
            end = SourceError(f"{self._source}: {error!r}"[:200])
        finally:
            with self._news:
                self._end = end
                self._news.notify()

    def _read(self, capture: LiveCapture) -> None:
        """Read, and release here: a capture must not be released while another thread is inside a read."""
        try:
            while not self._closed and capture.grab() and not self._closed:
                self._look(capture)
                self.count += 1
        finally:
            capture.release()

    def _look(self, capture: LiveCapture) -> None:
        """Convert the frame that was grabbed, where it is wanted."""
        if self._schedule.due(capture.at):
            image = self._pixels.image(capture.retrieve())
            self.broken = image is None
            if image is not None:
                self._schedule.took(capture.at)
                self._show(image, capture.at)
        else:
            SKIPPED.inc()
        if not self.broken:
            self.heard = time.monotonic()

    def _show(self, image: Image, at: float) -> None:
        """Let the frame be taken, in the place of one that nobody took."""
        captured_at = datetime.now(timezone.utc) - timedelta(seconds=time.monotonic() - at)
        with self._news:
            if self._newest:
                MISSED.inc()
            self._newest = LatestFrame(image, self.count, captured_at, at)
            self._news.notify()

    def take(self, timeout: float) -> LatestFrame | None:
        """Wait at most `timeout` seconds for a frame that was not taken before.

        Raises:
            SourceError: There will be none.
        """
        with self._news:
            self._news.wait_for(lambda: self._newest or self._end, timeout)
            taken, self._newest = self._newest, None
            if self._end and not taken:
                raise self._end
            return taken

    def close(self) -> None:
        """End after the read that is under way."""
        self._closed = True
