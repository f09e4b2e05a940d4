"""Convert decoded pictures to 8-bit BGR, turn them upright, and discard undecodable ones."""

import logging

import cv2
import numpy as np

from face_app.edge.image import Image
from face_app.edge.metrics import UNDECODABLE
from face_app.edge.sources.decoder import Decoded

log = logging.getLogger(__name__)

SAMPLE_STEP = 16
"""Step in x and y, pixels, of the sample that is checked for blank pictures and for filler."""
MAX_GREEN = 0.25
"""Maximum share of a picture that may have the green of filler. Above it, the rest of the picture is damaged too."""
MAX_GREY = 0.95
"""Maximum share of a picture that may have the grey of filler. A wall may have that grey by chance, so this is high."""

MIN_GREEN_LEVEL = 70
MAX_GREEN_LEVEL = 160
"""Range of the green of filler; see `_is_filler`."""
GREY_LEVELS = (128, 130)
"""Levels of the grey of filler; see `_is_filler`."""

ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
"""OpenCV's code for each angle, degrees clockwise."""


class FrameConverter:
    """Converts the pictures of one source."""

    def __init__(self, name: str, rotate: int = 0) -> None:
        """Prepare for the first picture.

        Args:
            name: Name of the source in the log.
            rotate: Degrees by which each picture is turned clockwise: 0, 90, 180 or 270.
        """
        self._name = name
        self._rotation = ROTATIONS.get(rotate)
        self._size: tuple[int, ...] = ()
        self._blank_logged = False

    def convert(self, decoded: Decoded | None) -> Image | None:
        """Return a picture as H x W x 3, BGR; without a copy if it is upright and has that format.

        Args:
            decoded: Output of a decoder; None if there was none.

        Returns:
            None if the picture is undecodable; the reason is counted.
        """
        image = None
        if decoded is None or not decoded.size:
            reason = "empty"
        elif (image := _to_bgr(decoded)) is None:
            reason = "format"
        elif _is_blank(image, sample := _sample(image)):
            reason = "blank"
            self._log_blank()
        elif _is_filler(sample):
            reason = "filler"
        else:
            if self._rotation is not None:
                image = cv2.rotate(image, self._rotation)  # type: ignore[assignment]
            self._log_size_change(image)
            return image
        UNDECODABLE.labels(reason).inc()
        return None

    def _log_blank(self) -> None:
        if not self._blank_logged:
            self._blank_logged = True
            log.warning(
                "%s: pictures are blank, each pixel is 0. OpenCV cannot convert interlaced video: set the camera to "
                "progressive, or convert the file: ffmpeg -i IN -vf yadif OUT",
                self._name,
            )

    def _log_size_change(self, image: Image) -> None:
        size = image.shape[1::-1]
        if self._size not in ((), size):
            log.info("%s: frames are %d x %d now, no longer %d x %d", self._name, *size, *self._size)
        self._size = size


def _to_bgr(decoded: Decoded) -> Image | None:
    """Convert to 8 bits and three channels; return None for a format that no camera has."""
    if decoded.dtype == np.uint16:
        decoded = (decoded >> 8).astype(np.uint8)
    if decoded.dtype != np.uint8 or decoded.ndim not in (2, 3):
        return None
    match decoded.shape[2:]:
        case () | (1,):
            return cv2.cvtColor(decoded, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]
        case (3,):
            return decoded
        case (4,):
            return cv2.cvtColor(decoded, cv2.COLOR_BGRA2BGR)  # type: ignore[return-value]
    return None


def _sample(image: Image) -> Image:
    """Copy a sample of the picture: each use of a sparse view would cost cache misses."""
    return np.ascontiguousarray(image[::SAMPLE_STEP, ::SAMPLE_STEP])


def _is_blank(image: Image, sample: Image) -> bool:
    """Return whether no pixel was written. OpenCV reports success also if a picture could not be converted.

    A camera adds noise to each picture, also of a covered lens or a dark room, so its pictures are never entirely 0.
    """
    return not sample.any() and not image.any()


def _is_filler(sample: Image) -> bool:
    """Return whether the decoder filled a large part of a picture because the stream was damaged.

    Green filler: unwritten memory is Y = U = V = 0, a green without red and blue. FFmpeg shows it below the end of a
    truncated JPEG, as 135 of 255; OpenCV converts it to 154, BT.709 to 77. Grey filler: a decoder that lacks a
    reference frame assumes Y = U = V = 128, which is 130 or 128. A covered lens is nearly black, so it is not filler.
    """
    blue, green, red = sample[..., 0], sample[..., 1], sample[..., 2]
    unwritten = green[(blue == 0) & (red == 0) & (green >= MIN_GREEN_LEVEL) & (green <= MAX_GREEN_LEVEL)]
    if unwritten.size > MAX_GREEN * green.size:
        return bool(np.bincount(unwritten).max() > MAX_GREEN * green.size)
    darker, brighter = GREY_LEVELS
    grey = np.count_nonzero(sample == darker) + np.count_nonzero(sample == brighter)  # np.isin takes ten times as long
    return bool(grey > MAX_GREY * sample.size)
