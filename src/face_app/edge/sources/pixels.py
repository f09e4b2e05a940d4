"""From whatever a decoder gives to the picture of a frame."""

import logging

import cv2
import numpy as np

from face_app.edge.image import Image
from face_app.edge.metrics import BAD
from face_app.edge.sources.decoder import Decoded

log = logging.getLogger(__name__)

SAMPLE = 8
"""Every so many pixels, across and down, are looked at for the decoder's filler."""
GREEN_MOST = 0.25
"""Part of a picture that may be filler's green; the rest of a picture with more of it is damaged as well."""
GREY_MOST = 0.95
"""The same of filler's grey, which a wall may have by chance: only a picture of nothing else is filler."""


class Pixels:
    """Makes every picture of one source 8-bit BGR, and leaves broken ones out."""

    def __init__(self, name: str) -> None:
        """Prepare.

        Args:
            name: What to call the source in the log.
        """
        self._name = name
        self._size: tuple[int, ...] = ()

    def image(self, decoded: Decoded | None) -> Image | None:
        """Make a picture H x W x 3; None where it is broken, which is counted by its reason."""
        image = None
        if decoded is None or not decoded.size:
            flaw = "empty"
        elif (image := _bgr(decoded)) is None:
            flaw = "format"
        elif _filler(image):
            flaw = "filler"
        else:
            self._tell_size(image)
            return image
        BAD.labels(flaw).inc()
        return None

    def _tell_size(self, image: Image) -> None:
        size = image.shape[1::-1]
        if self._size not in ((), size):
            log.info("%s: frames are %d x %d now, no longer %d x %d", self._name, *size, *self._size)
        self._size = size


def _bgr(decoded: Decoded) -> Image | None:
    """Bring to 8 bit and three channels; None for what no camera gives."""
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


def _filler(image: Image) -> bool:
    """Tell what the decoder put where the stream was broken from what the camera saw.

    Memory that was never written to is Y = U = V = 0: one green without any red or blue. FFmpeg shows it below the end
    of a cut JPEG, as 135 of 255; OpenCV makes 154 of it, BT.709 77. A decoder without the frame that others build on
    takes Y = U = V = 128 for it: one grey, 130 or 128. A covered lens is black, and so is no filler.
    """
    sample = image[::SAMPLE, ::SAMPLE]
    blue, green, red = sample[..., 0], sample[..., 1], sample[..., 2]
    unwritten = green[(blue == 0) & (red == 0) & (green >= 70) & (green <= 160)]
    if unwritten.size > GREEN_MOST * green.size:
        return bool(np.bincount(unwritten).max() > GREEN_MOST * green.size)
    return bool(np.isin(sample, (128, 130)).mean() > GREY_MOST)
