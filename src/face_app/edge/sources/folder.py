"""Files: one video, one picture, or a folder of both in the order of their names."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2

from face_app import settings
from face_app.edge.sources.frame import Frame
from face_app.edge.sources.video import Clip, Player
from face_app.errors import SourceError

log = logging.getLogger(__name__)

PICTURES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
VIDEOS = {".avi", ".gif", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm"}
PICTURE_SECONDS = 2.0
"""How long a picture lasts on the source's clock: longer than a track lives unseen, for each stands by itself.
Pictures are given as fast as they are read at either pace: they have no rate of their own."""


class Files:
    """Plays a file, or all that can be decoded in a folder, once or in a loop."""

    missed = 0

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
        self._player = Player(stop, fast=camera.pace == "fast")
        self._files: list[Path] = []

    def __enter__(self) -> "Files":
        """Look at each file; what cannot be decoded is left out with a warning, or ends it where nothing is left.

        Raises:
            SourceError: There is nothing to play.
        """
        lengths = {file: self._measure(file) for file in self._candidates()}
        self._files = [file for file, length in lengths.items() if length is not None]
        if not self._files:
            raise SourceError(f"camera.source = {str(self._path)!r}: nothing in this folder can be decoded")
        self.length = None if self._loop else sum(length or 0 for length in lengths.values())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to let go of: a clip is closed at its end."""

    def __iter__(self) -> Iterator[Frame]:
        """Give the frames of all files.

        Raises:
            SourceError: A whole pass gave not one frame.
        """
        while True:
            count = 0
            for file in self._files:
                for frame in self._play(file):
                    count += 1
                    yield frame
            if self._stop.is_set():
                return
            if not count:
                raise SourceError(f"camera.source = {str(self._path)!r}: holds no frame that can be decoded")
            if not self._loop:
                return

    def _candidates(self) -> list[Path]:
        if self._path.is_file():
            return [self._path]
        return [file for file in sorted(self._path.iterdir()) if file.suffix.lower() in PICTURES | VIDEOS]

    def _measure(self, file: Path) -> int | None:
        if file.suffix.lower() in PICTURES:
            return 1
        try:
            clip = Clip(file)
        except SourceError as error:
            if file == self._path:
                raise
            log.warning("%s", error)
            return None
        clip.close()
        return clip.length

    def _play(self, file: Path) -> Iterator[Frame]:
        if file.suffix.lower() not in PICTURES:
            ...
