"""Blacken privacy zones, and test whether a face lies in a detection zone."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from face_app.common import settings
from face_app.edge.image import Box, Image

Polygon: TypeAlias = npt.NDArray[np.float32]
"""Points x, y as shares of the frame: 0 to 1."""
Outline: TypeAlias = npt.NDArray[np.int32]
"""Points x, y in pixels of the frame."""


class Zones:
    """Scales the polygons of one camera to frames of any size."""

    def __init__(self, zones: settings.Zones) -> None:
        """Use the polygons of the settings, whose coordinates are shares of the frame: 0 to 1."""
        self._detect = _polygons(zones.detect)
        self._privacy = _polygons(zones.privacy)
        self._shape: tuple[int, ...] = ()
        self._outlines: list[Outline] = []

    def blacken(self, image: Image) -> None:
        """Blacken the privacy zones in place, so that no later stage ever gets their pixels.

        All pixels within the outer border of a polygon become black, also where it crosses itself.

        Args:
            image: H x W x 3, BGR; it is changed.
        """
        if image.shape != self._shape:
            self._shape = image.shape
            self._outlines = [outline for polygon in self._privacy for outline in _outlines(polygon, image)]
        # One by one: OpenCV does not fill the intersection of outlines that are drawn together.
        for outline in self._outlines:
            cv2.fillPoly(image, [outline], (0, 0, 0))

    def contains(self, box: Box, image: Image) -> bool:
        """Return True if the centre of a box lies in a detection zone, or if the settings name no such zone.

        Where a polygon crosses itself, the overlap counts as outside.

        Args:
            box: x1, y1, x2, y2 in pixels of the frame.
            image: Frame, for its size.
        """
        # Shares of the frame, as in the settings.
        x, y = np.array([box[0] + box[2], box[1] + box[3]]) / 2 / _last_pixel(image)
        return not self._detect or any(
            cv2.pointPolygonTest(polygon, (float(x), float(y)), False) >= 0 for polygon in self._detect
        )


def _polygons(polygons: Sequence[Sequence[tuple[float, float]]]) -> list[Polygon]:
    return [np.array(polygon, np.float32) for polygon in polygons]


def _outlines(polygon: Polygon, image: Image) -> Iterator[Outline]:
    """Yield the outer borders of a polygon: OpenCV leaves the overlap open where a polygon crosses itself."""
    filled = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(filled, [np.rint(polygon * _last_pixel(image)).astype(np.int32)], 1)
    for contour in cv2.findContours(filled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[-2]:
        yield contour.astype(np.int32)


def _last_pixel(image: Image) -> npt.NDArray[np.int64]:
    """Return x and y of the last pixel: a coordinate of 1 in the settings means the centre of this pixel."""
    height, width = image.shape[:2]
    # At least 1, because positions are divided by it, and a frame may be one pixel wide.
    return np.maximum([width - 1, height - 1], 1)
