"""Measure whether one place of the frame shows the same picture all the time, as an object on a shelf does."""

import cv2
import numpy as np
import numpy.typing as npt

from face_app.edge.image import Box, Image, clamp

PATCH = 24
"""Side to which the place is scaled, pixels. Larger costs more, and the noise of a camera lowers the correlation."""


class StillPlace:
    """Compares the picture at the place of a first detection with each later one at this place.

    Attributes:
        correlation: Lowest correlation with the first picture so far, -1 to 1. Gain and offset of the light do not
            change it. A face that turns, speaks or leaves lowers it.
    """

    def __init__(self, image: Image, box: Box) -> None:
        """Store the first picture.

        Args:
            image: Whole frame, H x W x 3, BGR.
            box: x1, y1, x2, y2 of the place, pixels.
        """
        self.correlation = 1.0
        self._box = box
        self._first = _patch(image, box)

    def compare(self, image: Image) -> None:
        """Compare the picture of another frame."""
        patch = _patch(image, self._box)
        correlation = 0.0  # of a place outside the frame
        if self._first is not None and patch is not None:
            correlation = float(cv2.matchTemplate(patch, self._first, cv2.TM_CCOEFF_NORMED)[0, 0])
        self.correlation = min(self.correlation, correlation)


def _patch(image: Image, box: Box) -> npt.NDArray[np.uint8] | None:
    """Return the picture at a place, `PATCH` x `PATCH`, grey; None if it is outside the frame."""
    left, top, right, bottom = (round(edge) for edge in clamp(box, image.shape[1], image.shape[0]))
    if right <= left or bottom <= top:
        return None
    grey = cv2.cvtColor(np.ascontiguousarray(image[top:bottom, left:right]), cv2.COLOR_BGR2GRAY)
    return cv2.resize(grey, (PATCH, PATCH), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
