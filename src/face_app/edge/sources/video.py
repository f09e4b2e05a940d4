"""A video file, and the pace at which files are played."""

import math
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import cv2

from face_app.edge.image import Image
from face_app.edge.sources.frame import Frame
from face_app.errors import SourceError

USUAL_RATE = 25.0
"""Frames per second of a file that does not tell its own, or tells nonsense."""


class Clip:
    """One pass through one video file."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            SourceError: It is no video.
        """
        self._path = path
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise SourceError(f"camera.source: {str(path)!r} cannot be decoded; name a video, a picture or a folder")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if math.isfinite(rate) and 0 < rate <= 1000 else USUAL_RATE
        self.length = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def images(self) -> Iterator[Image]:
        """Give every frame, then let go of the file.

        Raises:
            SourceError: There is not one.
        """
        there, image = self._capture.read()
        if not there:
            raise SourceError(f"camera.source: {str(self._path)!r} holds no frame that can be decoded")
        while there:
            yield image  # type: ignore[misc]
            there, image = self._capture.read()
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._capture.release()


class Player:
    """Turns clips and pictures into the frames of one run: one count, one clock, one pace.

    Nothing is skipped: where the program is slower than the clip, the clip takes longer.
    """

    def __init__(self, stop: threading.Event, *, fast: bool) -> None:
        self._stop = stop
        self._fast = fast
        self._index = 0
        self._elapsed = 0.0
        self._next = 0.0

    def play(self, clip: Clip) -> Iterator[Frame]:
        """Give the frames of a clip, at its own rate or as fast as they are read."""
        for image in clip.images():
            if not self._fast:
                self._next = max(self._next + 1 / clip.rate, time.monotonic())
                self._stop.wait(self._next - time.monotonic())
            if self._stop.is_set():
                clip.close()
                return
            yield self.show(image, 1 / clip.rate)

    def show(self, image: Image, seconds: float) -> Frame:
        """Make the next frame; it lasts `seconds` on the source's clock."""
        frame = Frame(image, self._index, datetime.now(timezone.utc), self._elapsed)
        self._index += 1
        self._elapsed += seconds
        return frame
