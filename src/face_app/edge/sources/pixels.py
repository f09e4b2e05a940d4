"""From whatever a decoder gives to the picture of a frame."""

import logging

import cv2
import numpy as np

from face_app.edge.figures import BAD
from face_app.edge.image import Image
from face_app.edge.sources.capture import Decoded

log = logging.getLogger(__name__)

SAMPLE = 8
"""Every so many pixels, across and down, are looked at for the decoder's filler."""
FILLED = 0.25
"""Part of a picture that filler may take; the rest of such a picture is damaged as well."""


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

    Memory that was never written to is Y = U = V = 0, which turns into a green without red or blue: 135 of 255 by
    BT.601, 77 by BT.709. Nothing before a lens is that, not over a quarter of the picture.
    """
    blue, green, red = cv2.split(image[::SAMPLE, ::SAMPLE])
    filled = (blue == 0) & (red == 0) & (green >= 64) & (green <= 160)
    return bool(filled.mean() > FILLED)
