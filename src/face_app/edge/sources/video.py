"""A video file."""

import math
from pathlib import Path

import cv2

from face_app.common.errors import SourceError
from face_app.edge.sources.decoder import Decoded
from face_app.edge.sources.videocapture import VideoCapture, open_ffmpeg

USUAL_RATE = 25.0
"""Frames per second of a video that does not tell its own, or tells nonsense."""


class Video:
    """A video file, read by OpenCV's FFmpeg: a `player.Clip`."""

    alone = False

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            SourceError: It is no video.
        """
        self._path = path
        capture = open_ffmpeg(str(path))
        if not capture.isOpened():
            raise SourceError(f"{path}: cannot be decoded; set camera.source to a video, a picture or a folder of them")
        rate = capture.get(cv2.CAP_PROP_FPS)
        self.length = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.at = 0.0
        self._seconds = 1 / (rate if math.isfinite(rate) and 0 < rate <= 1000 else USUAL_RATE)
        self.last = self._seconds
        self._start: float | None = None
        self._capture = VideoCapture(capture)

    def grab(self) -> bool:
        """Take the next frame.

        Raises:
            SourceError: There is not one in the whole file.
        """
        there = self._capture.grab()
        if not there and self._start is None:
            raise SourceError(f"{self._path}: holds no frame that can be decoded; set camera.source to another file")
        if there:
            self._tell_time()
        return there

    def _tell_time(self) -> None:
        """Take the time that the file has for this frame; the rate, where it has none that goes on."""
        stamp = self._capture.stamp
        if self._start is None:
            self._start = stamp
        elif stamp - self._start > self.at:
            self.at = stamp - self._start
        else:
            self.at += self._seconds

    def retrieve(self) -> Decoded | None:
        """Convert it."""
        return self._capture.retrieve()

    def release(self) -> None:
        """Let go of the file."""
        self._capture.release()
