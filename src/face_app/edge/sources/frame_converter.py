"""Convert decoded pictures to 8-bit BGR, and discards broken ones."""

import logging

import cv2
import numpy as np

from face_app.edge.image import Image
from face_app.edge.metrics import BAD
from face_app.edge.sources.decoder import Decoded

log = logging.getLogger(__name__)

SAMPLE_STEP = 8
"""Step in pixels, in x and y, of the sample that is checked for filler."""
MAX_GREEN = 0.25
"""Share of a picture that may be filler's green. If there is more, the rest of the picture is damaged too."""
MAX_GREY = 0.95
"""Share that may be filler's grey. A wall may have that grey by chance, so only a picture of nothing else is filler."""


class FrameConverter:
    """Converts the pictures of one source."""

    def __init__(self, name: str) -> None:
        """Prepare.

        Args:
            name: Name of the source in the log.
        """
        self._name = name
        self._size: tuple[int, ...] = ()

    def convert(self, decoded: Decoded | None) -> Image | None:
        """Return a picture as H x W x 3, BGR, without a copy where it is so already.

        Args:
            decoded: A decoder's output; None if it had none.

        Returns:
            None if the picture is broken; it is counted by its reason.
        """
        image = None
        if decoded is None or not decoded.size:
            reason = "empty"
        elif (image := _to_bgr(decoded)) is None:
            reason = "format"
        elif _is_filler(image):
            reason = "filler"
        else:
            self._log_size_change(image)
            return image
        BAD.labels(reason).inc()
        return None

    def _log_size_change(self, image: Image) -> None:
        size = image.shape[1::-1]
        if self._size not in ((), size):
            log.info("%s: frames are %d x %d now, no longer %d x %d", self._name, *size, *self._size)
        self._size = size


def _to_bgr(decoded: Decoded) -> Image | None:
    """Return 8 bits and three channels; None for a format that no camera has."""
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


def _is_filler(image: Image) -> bool:
    """Return whether the decoder filled a large part of the picture because the stream was broken.

    Unwritten memory is Y = U = V = 0: one green without red and blue. FFmpeg shows it below the end of a cut JPEG, as
    135 of 255; OpenCV converts it to 154, BT.709 to 77. A decoder that lacks a reference frame assumes Y = U = V = 128
    for it: one grey, 130 or 128. A covered lens is black, so it is no filler.
    """
    sample = image[::SAMPLE_STEP, ::SAMPLE_STEP]
    blue, green, red = sample[..., 0], sample[..., 1], sample[..., 2]
    unwritten = green[(blue == 0) & (red == 0) & (green >= 70) & (green <= 160)]
    if unwritten.size > MAX_GREEN * green.size:
        return bool(np.bincount(unwritten).max() > MAX_GREEN * green.size)
    return bool(np.isin(sample, (128, 130)).mean() > MAX_GREY)
