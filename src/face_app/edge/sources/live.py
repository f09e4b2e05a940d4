"""A source without an end: a camera or a stream, opened again whenever it is lost."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

from face_app.common import settings
from face_app.common.backoff import pauses
from face_app.common.errors import SourceError
from face_app.edge.sources.decoder import LiveCapture
from face_app.edge.sources.frame import Frame
from face_app.edge.sources.pixels import Pixels
from face_app.edge.sources.reader import LatestFrame, Reader
from face_app.edge.sources.schedule import Schedule

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
        self,
        name: str,
        camera: settings.Camera,
        stop: threading.Event,
        connect: Callable[[], LiveCapture],
        lost: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Prepare to watch.

        Args:
            name: What to call it in the log.
            camera: Time-out of a read, longest pause between two attempts.
            stop: Ends the run.
            connect: Opens it once, or raises a SourceError that says what to check.
            lost: Is told, whenever it is lost, for how many seconds it had given frames.
        """
        self._name = name
        self._camera = camera
        self._stop = stop
        self._connect = connect
        self._lost = lost
        self._schedule = Schedule()
        self._pixels = Pixels(name)
        self._reader: Reader | None = None
        self._before = 0

    @property
    def count(self) -> int:
        """Frames that came so far, those that nobody took included."""
        return self._before + (self._reader.count if self._reader else 0)

    @property
    def interval(self) -> float:
        """Least seconds between two frames."""
        return self._schedule.interval

    @interval.setter
    def interval(self, seconds: float) -> None:
        self._schedule.interval = seconds

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
        elapsed = 0.0
        waits = pauses(self._camera.reopen_max)
        while not self._stop.is_set():
            self._before, self._reader = self.count, None
            first = last = 0.0
            try:
                for shot in self._shots():
                    # One camera's own time stamps may give out, or come back: this clock never goes back for it.
                    elapsed = max(elapsed, shot.at - started)
                    yield Frame(shot.image, self._before + shot.number, shot.captured_at, elapsed)
                    first, last = first or shot.at, shot.at
                    waits = pauses(self._camera.reopen_max)
            except SourceError as error:
                self._lost(last - first)
                pause = next(waits)
                log.warning("%s; trying again in %.0f s", error, pause)
                self._stop.wait(pause)

    def _shots(self) -> Iterator[LatestFrame]:
        """Open once, and give what comes.

        Raises:
            SourceError: It cannot be opened, ended, or gave nothing whole for too long.
        """
        self._reader = reader = Reader(self._name, self._connect, self._schedule, self._pixels)
        reader.start()
        silent = True
        try:
            while not self._stop.is_set():
                shot = reader.take(NOTICE_STOP)
                if shot:
                    if silent:
                        log.info("%s gives frames", self._name)
                    silent = False
                    yield shot
                elif time.monotonic() - reader.heard > self._camera.read_timeout + GRACE:
                    nothing = "only broken frames" if reader.broken else "no frame"
                    raise SourceError(f"{self._name} has given {nothing} for {self._camera.read_timeout:.0f} s")
        finally:
            reader.close()
