"""Open and read a live capture in its own thread, and store only the latest frame."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from face_app.common.errors import SourceError
from face_app.edge.image import Image
from face_app.edge.metrics import MISSED, SKIPPED
from face_app.edge.sources.address import mask_secrets
from face_app.edge.sources.decoder import LiveCapture
from face_app.edge.sources.frame import FrameSchedule
from face_app.edge.sources.frame_converter import FrameConverter

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LatestFrame:
    """Describes the latest frame of a reader.

    Attributes:
        image: H x W x 3, BGR.
        number: Number of the frame, counted from 0 in each reader.
        captured_at: Wall time of the capture (aware).
        timestamp: Time of the capture on the monotonic clock, seconds.
    """

    image: Image
    number: int
    captured_at: datetime
    timestamp: float


class FrameReader(threading.Thread):
    """Reads one capture. An open or a read that never returns blocks only this thread.

    Attributes:
        count: Number of frames so far, including undecodable and skipped frames.
        undecodable: True if the last frame that was converted is undecodable.
        last_frame_at: Monotonic time of the start, or of the last frame that was not undecodable, seconds.
    """

    def __init__(
        self, name: str, connect: Callable[[], LiveCapture], schedule: FrameSchedule, converter: FrameConverter
    ) -> None:
        super().__init__(name=f"reader of {name}", daemon=True)
        self.count = 0
        self.undecodable = False
        self.last_frame_at = time.monotonic()
        self._source = name
        self._connect = connect
        self._schedule = schedule
        self._converter = converter
        self._closed = False
        self._latest: LatestFrame | None = None
        self._end: SourceError | None = None
        self._changed = threading.Condition()

    def run(self) -> None:
        """Read until the reader is closed or the capture ends."""
        end = SourceError(f"{self._source} gives no more frames")
        try:
            self._read(self._connect())
        except SourceError as error:
            end = error
        except Exception as error:
            log.exception("%s cannot be read", self._source)
            end = SourceError(f"{self._source}: {mask_secrets(repr(error))}"[:200])
        finally:
            with self._changed:
                self._end = end
                self._changed.notify()

    def _read(self, capture: LiveCapture) -> None:
        """Read all frames, then release the capture; no other thread may release it during a read."""
        try:
            while not self._closed and capture.grab() and not self._closed:
                self._process(capture)
                self.count += 1
        finally:
            capture.release()

    def _process(self, capture: LiveCapture) -> None:
        """Convert and store the grabbed frame, if it is due."""
        if self._schedule.is_due(capture.timestamp):
            image = self._converter.convert(capture.retrieve())
            self.undecodable = image is None
            if image is not None:
                self._schedule.advance(capture.timestamp)
                self._store(image, capture.timestamp)
        else:
            SKIPPED.inc()
        if not self.undecodable:
            self.last_frame_at = time.monotonic()

    def _store(self, image: Image, timestamp: float) -> None:
        """Replace the latest frame; a frame that was not fetched counts as missed."""
        captured_at = datetime.now(timezone.utc) - timedelta(seconds=time.monotonic() - timestamp)
        with self._changed:
            if self._latest:
                MISSED.inc()
            self._latest = LatestFrame(image, self.count, captured_at, timestamp)
            self._changed.notify()

    def fetch(self, timeout: float) -> LatestFrame | None:
        """Return the latest frame, each frame only once; wait for the next frame if necessary.

        Args:
            timeout: Maximum seconds to wait.

        Returns:
            None if no frame came within the timeout.

        Raises:
            SourceError: No further frame comes.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._latest or self._end, timeout)
            latest = self._latest
            self._latest = None
            if self._end and not latest:
                raise self._end
            return latest

    def close(self) -> None:
        """End the thread after its current read."""
        self._closed = True
