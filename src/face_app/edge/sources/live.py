"""Read a camera or a stream, and reopen it after each loss."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

from face_app.common import settings
from face_app.common.backoff import pauses
from face_app.common.errors import SourceError
from face_app.edge.sources.decoder import LiveCapture
from face_app.edge.sources.frame import Frame, FrameSchedule
from face_app.edge.sources.frame_converter import FrameConverter
from face_app.edge.sources.frozen import FrozenPictureCheck
from face_app.edge.sources.reader import FrameReader, LatestFrame

log = logging.getLogger(__name__)

STOP_POLL_SECONDS = 0.25
"""Maximum delay until a stop is noticed while no frame comes, seconds; a frame wakes the program at once."""
TIMEOUT_GRACE = 1.0
"""Seconds after the timeout in which a capture may still report the reason. Some captures never do."""
CLOSE_TIMEOUT = 2.0
"""Maximum seconds to wait for the last read. A read that takes longer is abandoned."""


class LiveSource:
    """Yields the latest frame, and counts the frames that came while the program was busy."""

    live = True
    length: int | None = None

    def __init__(
        self,
        name: str,
        camera: settings.Camera,
        stop: threading.Event,
        connect: Callable[[], LiveCapture],
        on_loss: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Prepare the source; iteration opens it.

        Args:
            name: Name of the source in the log.
            camera: Timeout of a read, and maximum pause between two attempts to open.
            stop: Event that ends the run.
            connect: Opens the capture once, or raises a `SourceError` that names what to check.
            on_loss: Called after each loss with the seconds for which frames had come.
        """
        self._name = name
        self._camera = camera
        self._stop = stop
        self._connect = connect
        self._on_loss = on_loss
        self._schedule = FrameSchedule()
        self._converter = FrameConverter(name, camera.rotate)
        self._frozen = FrozenPictureCheck(name)
        self._reader: FrameReader | None = None
        self._count_before = 0

    @property
    def count(self) -> int:
        """Return the number of frames so far, including those that were skipped or missed."""
        return self._count_before + (self._reader.count if self._reader else 0)

    @property
    def interval(self) -> float:
        """Return the minimum seconds between two frames."""
        return self._schedule.interval

    @interval.setter
    def interval(self, seconds: float) -> None:
        self._schedule.interval = seconds

    def __enter__(self) -> "LiveSource":
        """Do nothing: iteration opens the camera, and retries while it does not answer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the camera, and wait up to `CLOSE_TIMEOUT` for the current read to end."""
        if self._reader:
            self._reader.close()
            self._reader.join(CLOSE_TIMEOUT)

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames until the stop event."""
        started = time.monotonic()
        elapsed = 0.0
        waits = pauses(self._camera.reopen_max)
        while not self._stop.is_set():
            self._count_before = self.count
            self._reader = None
            first = last = 0.0  # timestamps of the first and the latest frame of this capture
            try:
                for latest in self._read_capture():
                    # The timestamps of a camera may jump back; this clock never does.
                    elapsed = max(elapsed, latest.timestamp - started)
                    unchanged = self._frozen.seconds_unchanged(latest.image, elapsed)
                    index = self._count_before + latest.number
                    yield Frame(latest.image, index, latest.captured_at, elapsed, unchanged)
                    first, last = first or latest.timestamp, latest.timestamp
                    waits = pauses(self._camera.reopen_max)
            except SourceError as error:
                if self._stop.is_set():
                    return  # the stop ended the capture
                self._on_loss(last - first)
                pause = next(waits)
                log.warning("%s; trying again in %.0f s", error, pause)
                self._stop.wait(pause)

    def _read_capture(self) -> Iterator[LatestFrame]:
        """Open the capture once, and yield its frames.

        Raises:
            SourceError: The capture cannot be opened, has ended, or gave no decodable frame within the timeout.
        """
        self._reader = reader = FrameReader(self._name, self._connect, self._schedule, self._converter)
        reader.start()
        logged = False
        try:
            while not self._stop.is_set():
                latest = reader.fetch(STOP_POLL_SECONDS)
                if latest:
                    if not logged:
                        log.info("%s gives frames", self._name)
                    logged = True
                    yield latest
                elif time.monotonic() - reader.last_frame_at > self._camera.read_timeout + TIMEOUT_GRACE:
                    received = "only undecodable frames" if reader.undecodable else "no frame"
                    raise SourceError(f"{self._name} has given {received} for {self._camera.read_timeout:.0f} s")
        finally:
            reader.close()
