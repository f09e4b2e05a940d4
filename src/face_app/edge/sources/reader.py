"""Opens and reads a live capture in a thread of its own, and keeps the newest frame only."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

import cv2

from face_app.edge.image import Image
from face_app.errors import SourceError


@dataclass(frozen=True)
class Shot:
    """One frame as it was read.

    Attributes:
        image: H x W x 3, BGR.
        number: Counts from 0 in one reader.
        captured_at: Wall time of the read (aware).
        at: The same moment on the monotonic clock, seconds.
    """

    image: Image
    number: int
    captured_at: datetime
    at: float


class Reader(threading.Thread):
    """One capture. An open or a read that never returns holds up this thread and nothing else."""

    def __init__(self, name: str, connect: Callable[[], cv2.VideoCapture]) -> None:
        super().__init__(name=f"reader of {name}", daemon=True)
        self._source = name
        self._connect = connect
        self._closed = False
        self._newest: Shot | None = None
        self._end: SourceError | None = None
        self._news = threading.Condition()

    def run(self) -> None:
        """Read until closed or lost."""
        end = SourceError(f"{self._source} gives no more frames")
        try:
            self._read(self._connect())
        except SourceError as error:
            end = error
        finally:
            with self._news:
                self._end = end
                self._news.notify()

    def _read(self, capture: cv2.VideoCapture) -> None:
        """Read, and release here: a capture must not be released while another thread is inside a read."""
        number = 0
        there, image = capture.read()
        while there and not self._closed:
            with self._news:
                self._newest = Shot(image, number, datetime.now(timezone.utc), time.monotonic())  # type: ignore[arg-type]
                self._news.notify()
            number += 1
            there, image = capture.read()
        capture.release()

    def take(self, timeout: float) -> Shot | None:
        """Wait at most `timeout` seconds for a frame that was not taken before.

        Raises:
            SourceError: There will be none.
        """
        with self._news:
            self._news.wait_for(lambda: self._newest or self._end, timeout)
            shot, self._newest = self._newest, None
            if self._end and not shot:
                raise self._end
            return shot

    def close(self) -> None:
        """End after the read that is under way."""
        self._closed = True
