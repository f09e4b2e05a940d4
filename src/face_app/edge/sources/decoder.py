"""Define captures, which read frame by frame, and wrap OpenCV's: FFmpeg for files and streams, V4L2 for devices."""

import ctypes
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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

MAX_PIXEL_ASPECT = 4.0
"""Maximum ratio of the sides of a pixel. A larger one is damage, and would enlarge a picture without bound."""
SQUARE_TOLERANCE = 0.02
"""Deviation from a square that is ignored: a detector does not notice it, and each resized frame costs CPU."""

M_PERTURB = -6
"""Option of glibc's `mallopt`: new memory is filled with the complement of its value. 0 switches this off."""
FILL_WITH_ZEROS = 0xFF


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
        self._size = (0.0, 0.0)

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
            decoded, image = self._retrieve()
        except cv2.error:
            return None
        return square_pixels(image, self._pixel_aspect()) if decoded else None

    def _retrieve(self) -> tuple[bool, Decoded]:
        """Convert the frame. OpenCV allocates its picture at first and at each new size.

        If it cannot convert a frame, such as an interlaced one, it reports success and returns this picture as it is.
        So the picture must be 0, and not a former picture, perhaps of another file, that the memory still holds.
        """
        size = (self._capture.get(cv2.CAP_PROP_FRAME_WIDTH), self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if size == self._size:
            return self._capture.retrieve()
        self._size = size
        with zeroed_allocations():
            return self._capture.retrieve()

    def _pixel_aspect(self) -> float:
        """Return width / height of a pixel as it is retrieved, upright; 1 if the stream does not name it."""
        get = self._capture.get
        width, height = get(cv2.CAP_PROP_SAR_NUM), get(cv2.CAP_PROP_SAR_DEN)
        if width <= 0 or height <= 0:
            return 1.0
        # OpenCV turns the picture, but not the shape of its pixels.
        turned = get(cv2.CAP_PROP_ORIENTATION_AUTO) > 0 and get(cv2.CAP_PROP_ORIENTATION_META) % 180 == 90
        return height / width if turned else width / height

    def release(self) -> None:
        """Close the device, the connection or the file."""
        self._capture.release()


@contextmanager
def zeroed_allocations() -> Iterator[None]:
    """Fill memory that libraries allocate with zeros while the context lasts; do nothing without glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_PERTURB, FILL_WITH_ZEROS)
    try:
        yield
    finally:
        if mallopt:
            mallopt(M_PERTURB, 0)


def square_pixels(image: Decoded, aspect: float) -> Decoded:
    """Enlarge a picture in one direction, so that its pixels are square; no detail is lost.

    Some recorders store half the lines or columns. The detectors find a squashed face, but its quality suffers.

    Args:
        image: Any number of channels.
        aspect: Width / height of a pixel. A value that no camera has is ignored, and so is one close to 1.
    """
    if not 1 / MAX_PIXEL_ASPECT <= aspect <= MAX_PIXEL_ASPECT or abs(aspect - 1) < SQUARE_TOLERANCE or not image.size:
        return image
    height, width = image.shape[:2]
    size = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)


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
