"""Define captures, which read frame by frame, and wrap OpenCV's: FFmpeg for files and streams, V4L2 for devices."""

import time
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import cv2
import numpy.typing as npt

from face_app.edge.metrics import UNDECODABLE

Decoded: TypeAlias = npt.NDArray[Any]
"""A picture as its decoder returns it: any depth, any number of channels."""

# OpenCV reports an undecodable packet like the end of the stream. Only the packets after it show the difference.
MAX_ATTEMPTS = 50
"""Maximum number of packets in the search for a decodable packet."""
MAX_ATTEMPT_SECONDS = 1.0
"""Maximum seconds of the search for a decodable packet."""


class Capture(Protocol):
    """Reads an open camera, stream or file. `grab` alone is cheap; a frame that is not needed is never converted."""

    def grab(self) -> bool:
        """Advance to the next frame; return False at the end.

        Raises:
            SourceError: No further frame comes, and the reason is known.
        """

    def retrieve(self) -> Decoded | None:
        """Convert the frame that was grabbed last; return None if it is undecodable."""

    def release(self) -> None:
        """Close the capture."""


class LiveCapture(Capture, Protocol):
    """Reads a camera or a stream, and records the capture time of each frame.

    Attributes:
        timestamp: Capture time of the frame that was grabbed last, seconds on the monotonic clock.
    """

    timestamp: float


class OpenCVCapture:
    """Adapts `cv2.VideoCapture` to `LiveCapture`. The timestamp of a frame is the time of the read."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self.timestamp = 0.0
        self._capture = capture

    def grab(self) -> bool:
        """Advance to the next frame that can be decoded; return False at the end."""
        started = time.monotonic()
        for undecodable in range(MAX_ATTEMPTS):  # number of undecodable packets before this attempt
            grabbed = self._capture.grab()
            self.timestamp = time.monotonic()
            if grabbed:
                UNDECODABLE.labels("undecodable").inc(undecodable)
                return True
            if self.timestamp - started > MAX_ATTEMPT_SECONDS:
                break
        return False

    @property
    def media_time(self) -> float:
        """Return the time that the file or the driver reports for the frame that was grabbed last, seconds."""
        return self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000

    def retrieve(self) -> Decoded | None:
        """Convert the frame that was grabbed last to H x W x 3, BGR; return None if it is undecodable."""
        try:
            decoded, image = self._capture.retrieve()
        except cv2.error:
            return None
        return image if decoded else None

    def release(self) -> None:
        """Close the device, the connection or the file."""
        self._capture.release()


def open_ffmpeg(address: str, options: Sequence[int] = ()) -> cv2.VideoCapture:
    """Open a file or a stream with FFmpeg, on one thread.

    Measured with H.264, 1280 x 720, 4 Mbit/s, on two cores: a frame takes 4.2 ms of CPU on one thread and 5.0 ms on
    two. So one thread can read 200 frames a second. The conversion takes 0.8 ms of this time; a frame that is only
    grabbed saves it. Each further thread also delays the output by one frame.

    Args:
        address: File or URL.
        options: Further pairs of a cv2.CAP_PROP_... and its value.
    """
    return cv2.VideoCapture(address, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1, *options])
