"""Files: one video, one picture, or a folder of both in the order of their names."""

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from face_app.common import settings
from face_app.common.errors import SourceError
from face_app.edge.sources.frame import Frame
from face_app.edge.sources.picture import Picture
from face_app.edge.sources.pixels import Pixels
from face_app.edge.sources.player import Clip, Player
from face_app.edge.sources.schedule import Schedule
from face_app.edge.sources.video import Video

log = logging.getLogger(__name__)

PICTURES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
VIDEOS = {".avi", ".gif", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm"}


class Files:
    """Plays a file, or all that can be decoded in a folder, once or in a loop."""

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
        self._schedule = Schedule()
        self._player = Player(stop, self._schedule, Pixels(str(path)), fast=camera.pace == "fast")
        self._files: list[Path] = []
        self._reel: Clip | None = None

    @property
    def count(self) -> int:
        """Frames that were read so far."""
        return self._player.count

    @property
    def interval(self) -> float:
        """Least seconds of the files' own clock between two frames."""
        return self._schedule.interval

    @interval.setter
    def interval(self, seconds: float) -> None:
        self._schedule.interval = seconds

    def __enter__(self) -> "Files":
        """Find what can be played.

        Raises:
            SourceError: Nothing can.
        """
        lengths = {}
        for file in self._candidates():
            try:
                reel = _open(file, loop=self._loop)
            except SourceError as error:
                self._leave_out(file, error)
                continue
            reel.release()
            lengths[file] = reel.length
        if not lengths:
            raise SourceError(f"{self._path}: holds no video and no picture; set camera.source to another folder")
        self._files = list(lengths)
        self.length = None if self._loop else sum(lengths.values())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the file that plays."""
        if self._reel:
            self._reel.release()

    def __iter__(self) -> Iterator[Frame]:
        """Give the frames of all files.

        Raises:
            SourceError: A whole pass held not one that is whole.
        """
        while True:
            before = self._player.count - self._player.broken
            for file in self._files:
                try:
                    self._reel = _open(file, loop=self._loop)
                    yield from self._player.play(self._reel)
                    self._reel.release()
                except SourceError as error:
                    self._leave_out(file, error)
                if self._stop.is_set():
                    return
            if self._player.count - self._player.broken == before:
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

    def _leave_out(self, file: Path, error: SourceError) -> None:
        """A bad file spoils only itself in a folder; alone it is an error."""
        if file == self._path:
            raise error
        log.warning("left out: %s", error)


def _open(file: Path, *, loop: bool) -> Clip:
    return Picture(file, loop=loop) if file.suffix.lower() in PICTURES else Video(file)
