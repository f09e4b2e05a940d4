"""A video file."""

import math
from collections.abc import Iterator
from pathlib import Path

import cv2

from face_app.edge.image import Image
from face_app.errors import SourceError

USUAL_RATE = 25.0
"""Frames per second of a video that does not tell its own, or tells nonsense."""


class Video:
    """A video file, read by OpenCV's FFmpeg: a `player.Reel`."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            SourceError: It is no video.
        """
        self._path = path
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise SourceError(f"{path}: cannot be decoded; set camera.source to a video, a picture or a folder of them")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.length = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.seconds = 1 / (rate if math.isfinite(rate) and 0 < rate <= 1000 else USUAL_RATE)
        self.pause = self.seconds

    def images(self) -> Iterator[Image]:
        """Give every frame.

        Raises:
            SourceError: There is not one.
        """
        there, image = self._capture.read()
        if not there:
            raise SourceError(f"{self._path}: holds no frame that can be decoded; set camera.source to another file")
        while there:
            yield image  # type: ignore[misc]
            there, image = self._capture.read()

    def close(self) -> None:
        """Let go of the file."""
        self._capture.release()
