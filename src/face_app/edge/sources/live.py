"""A source without an end: a camera or a stream, opened again whenever it is lost."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

import cv2

from face_app import settings
from face_app.edge.backoff import pauses
from face_app.edge.figures import MISSED
from face_app.edge.sources.frame import Frame
from face_app.edge.sources.reader import Reader, Shot
from face_app.errors import SourceError

log = logging.getLogger(__name__)

NOTICE_STOP = 0.25
"""Most seconds until a stop is noticed while no frame comes; a frame wakes the program at once."""
GRACE = 1.0
"""Seconds that a capture has, after the time-out, to tell by itself what is wrong. Some never do."""
LEAVE = 2.0
"""Seconds that the last read may take to end. One that hangs longer is left behind."""


class Live:
    """Gives the newest frame whenever one is asked for, and counts those that nobody took."""

    live = True
    length: int | None = None

    def __init__(
        self, name: str, camera: settings.Camera, stop: threading.Event, connect: Callable[[], cv2.VideoCapture]
    ) -> None:
        """Prepare to watch.

        Args:
            name: What to call it in the log.
            camera: Time-out of a read, longest pause between two attempts.
            stop: Ends the run.
            connect: Opens it once, or raises a SourceError that says what to check.
        """
        self._name = name
        self._camera = camera
        self._stop = stop
        self._connect = connect
        self._reader: Reader | None = None

    def __enter__(self) -> "Live":
        """Open nothing yet: a camera that is not there is waited for while frames are asked for."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the camera, and give the read that is under way the time to end."""
        if self._reader:
            self._reader.close()
            self._reader.join(LEAVE)

    def __iter__(self) -> Iterator[Frame]:
        """Give frames until the stop."""
        started = time.monotonic()
        index = 0
        waits = pauses(self._camera.reopen_max)
        while not self._stop.is_set():
            base = index
            try:
                for shot in self._shots():
                    MISSED.inc(base + shot.number - index)
                    index = base + shot.number + 1
                    yield Frame(shot.image, index - 1, shot.captured_at, shot.at - started)
                    waits = pauses(self._camera.reopen_max)
            except SourceError as error:
                pause = next(waits)
                log.warning("%s; trying again in %.0f s", error, pause)
                self._stop.wait(pause)

    def _shots(self) -> Iterator[Shot]:
        """Open once, and give what comes.

        Raises:
            SourceError: It cannot be opened, ended, or was silent for too long.
        """
        self._reader = reader = Reader(self._name, self._connect)
        reader.start()
        heard = time.monotonic()
        try:
            while not self._stop.is_set():
                shot = reader.take(NOTICE_STOP)
                if shot:
                    if not shot.number:
                        log.info("%s gives frames", self._name)
                    yield shot
                    heard = time.monotonic()
                elif time.monotonic() - heard > self._camera.read_timeout + GRACE:
                    raise SourceError(f"{self._name} has given no frame for {self._camera.read_timeout:.0f} s")
        finally:
            reader.close()
