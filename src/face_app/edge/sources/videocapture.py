"""OpenCV's capture as a `LiveCapture`."""

import time
from collections.abc import Sequence

import cv2

from face_app.edge.metrics import BAD
from face_app.edge.sources.decoder import Decoded

ATTEMPTS = 50
PATIENCE = 1.0
"""Seconds. OpenCV answers to a packet that cannot be decoded as to the end; only what comes after tells them apart."""


class VideoCapture:
    """An open capture of OpenCV's: FFmpeg's or V4L2's."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self.at = 0.0
        self._capture = capture

    def grab(self) -> bool:
        """Take the next frame, past those that cannot be decoded; its moment is that of the read."""
        started = time.monotonic()
        for undecodable in range(ATTEMPTS):
            there = self._capture.grab()
            self.at = time.monotonic()
            if there:
                BAD.labels("undecodable").inc(undecodable)
                return True
            if self.at - started > PATIENCE:
                break
        return False

    @property
    def stamp(self) -> float:
        """Time that the file, or the driver, gives for the frame that was grabbed last, seconds."""
        return self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000

    def retrieve(self) -> Decoded | None:
        """Convert it."""
        try:
            there, image = self._capture.retrieve()
        except cv2.error:
            return None
        return image if there else None

    def release(self) -> None:
        """Let go of the device, the connection or the file."""
        self._capture.release()


def open_ffmpeg(address: str, limits: Sequence[int] = ()) -> cv2.VideoCapture:
    """Open a file or a stream with FFmpeg, on one thread.

    Measured with H.264, 1280 x 720, 4 Mbit/s, on two cores: 4.2 ms of CPU a frame on one thread and 5.0 ms on two,
    so one thread keeps up with 200 frames a second; 0.8 ms of it are the conversion, which a frame that is only grabbed
    does without. Each further thread also gives a frame out one frame later.

    Args:
        address: File or URL.
        limits: Further pairs of a cv2.CAP_PROP_... and its value.
    """
    return cv2.VideoCapture(address, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1, *limits])
