"""Play files: one video, one picture, or a folder of both in the order of their names."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from face_app.common import settings
from face_app.common.errors import SourceError
from face_app.edge.metrics import SKIPPED
from face_app.edge.sources.clips import Clip, Picture, Video
from face_app.edge.sources.frame import Frame, FrameSchedule
from face_app.edge.sources.frame_converter import FrameConverter

log = logging.getLogger(__name__)

PICTURES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
VIDEOS = {".avi", ".gif", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm"}
GAP_SECONDS = 2.0
"""Seconds of the source's clock between two files, or two rounds of one. A lost track lives less long, so that no visit
spans two files."""


class FileSource:
    """Plays a file, or all decodable files of a folder, once or in a loop."""

    live = False

    def __init__(self, path: Path, camera: settings.Camera, stop: threading.Event) -> None:
        """Prepare to play.

        Args:
            path: An existing file or folder.
            camera: Pace and loop.
            stop: Ends the run between two frames.
        """
        self.length: int | None = None
        self._path = path
        self._loop = camera.loop
        self._stop = stop
        self._schedule = FrameSchedule()
        self._player = Player(stop, self._schedule, FrameConverter(str(path)), fast=camera.pace == "fast")
        self._files: list[Path] = []
        self._clip: Clip | None = None

    @property
    def count(self) -> int:
        """Return the frames that were read so far."""
        return self._player.count

    @property
    def interval(self) -> float:
        """Return the least seconds of the files' own clock between two frames."""
        return self._schedule.interval

    @interval.setter
    def interval(self, seconds: float) -> None:
        self._schedule.interval = seconds

    def __enter__(self) -> "FileSource":
        """Find the files that can be decoded.

        Raises:
            SourceError: There is none.
        """
        lengths = {}
        for file in self._candidates():
            try:
                clip = _open_clip(file, loop=self._loop)
            except SourceError as error:
                self._skip_file(file, error)
                continue
            clip.release()
            lengths[file] = clip.length
        if not lengths:
            raise SourceError(f"{self._path}: has no video and no picture; set camera.source to another folder")
        self._files = list(lengths)
        self.length = None if self._loop else sum(lengths.values())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file that is playing."""
        if self._clip:
            self._clip.release()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames of all files.

        Raises:
            SourceError: A whole round had no intact frame.
        """
        while True:
            intact = self._player.count - self._player.broken
            for file in self._files:
                try:
                    self._clip = _open_clip(file, loop=self._loop)
                    yield from self._player.play(self._clip)
                    self._clip.release()
                except SourceError as error:
                    self._skip_file(file, error)
                if self._stop.is_set():
                    return
            if self._player.count - self._player.broken == intact:
                raise SourceError(f"{self._path}: nothing in it can be decoded; set camera.source to another folder")
            if not self._loop:
                return

    def _candidates(self) -> list[Path]:
        if self._path.is_file():
            return [self._path]
        try:
            files = sorted(self._path.iterdir())
        except OSError as error:
            raise SourceError(f"{self._path}: {error.strerror}; let the user {os.getuid()} read it") from error
        return [file for file in files if file.suffix.lower() in PICTURES | VIDEOS]

    def _skip_file(self, file: Path, error: SourceError) -> None:
        """Log a bad file of a folder; raise its error if it is the only file."""
        if file == self._path:
            raise error
        log.warning("skipped: %s", error)


class Player:
    """Plays clips one after another with one frame count, one clock and one pace.

    No frame is missed: if the program is slower than the clip, playing takes longer.

    Attributes:
        count: Frames so far.
        broken: Broken frames among them, which were not yielded.
    """

    def __init__(
        self, stop: threading.Event, schedule: FrameSchedule, converter: FrameConverter, *, fast: bool
    ) -> None:
        self.count = 0
        self.broken = 0
        self._stop = stop
        self._schedule = schedule
        self._converter = converter
        self._fast = fast
        self._elapsed = 0.0
        self._next_at = 0.0

    def play(self, clip: Clip) -> Iterator[Frame]:
        """Yield the frames of one clip, at its own rate or as fast as they are read.

        Raises:
            SourceError: No frame can be decoded.
        """
        started, before = self._elapsed, 0.0
        while clip.grab():
            self._wait(clip.position - before)
            if self._stop.is_set():
                return
            index, elapsed, before = self.count, started + clip.position, clip.position
            self.count += 1
            self._elapsed = elapsed + GAP_SECONDS
            if not self._schedule.is_due(elapsed):
                SKIPPED.inc()
                continue
            image = self._converter.convert(clip.retrieve())
            if image is None:
                self.broken += 1
                continue
            self._schedule.advance(elapsed)
            yield Frame(image, index, datetime.now(timezone.utc), elapsed, independent=clip.independent)
        self._wait(clip.last_seconds)

    def _wait(self, seconds: float) -> None:
        """Wait until so long after the previous frame. After a delay the pace stays the same: no frames catch up."""
        if not self._fast:
            self._next_at = max(self._next_at + seconds, time.monotonic())
            self._stop.wait(self._next_at - time.monotonic())


def _open_clip(file: Path, *, loop: bool) -> Clip:
    return Picture(file, loop=loop) if file.suffix.lower() in PICTURES else Video(file)
