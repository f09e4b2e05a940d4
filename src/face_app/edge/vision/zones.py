"""Blacken privacy zones, and test whether a face lies in a detection zone."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from face_app.common import settings
from face_app.edge.image import Box, Image

Points = npt.NDArray[np.float32]


class Zones:
    """Scales the polygons of one camera to frames of any size."""

    def __init__(self, zones: settings.Zones) -> None:
        self._detect = _polygons(zones.detect)
        self._privacy = _polygons(zones.privacy)

    def blacken(self, image: Image) -> None:
        """Blacken the privacy zones in place, so that no later stage ever gets their pixels.

        Args:
            image: H x W x 3, BGR; it is changed.
        """
        for (
            polygon
        ) in self._privacy:  # one by one: OpenCV does not fill the intersection of polygons that are drawn together
            cv2.fillPoly(image, [np.rint(polygon * _last_pixel(image)).astype(np.int32)], (0, 0, 0))

    def contains(self, box: Box, image: Image) -> bool:
        """Return whether the centre of a box lies in a detection zone; True if the settings name none.

        Args:
            box: x1, y1, x2, y2 in pixels of the frame.
            image: Frame, for its size.
        """
        x, y = np.array([box[0] + box[2], box[1] + box[3]]) / 2 / _last_pixel(image)
        return not self._detect or any(
            cv2.pointPolygonTest(polygon, (float(x), float(y)), False) >= 0 for polygon in self._detect
        )


def _polygons(polygons: Sequence[Sequence[tuple[float, float]]]) -> list[Points]:
    return [np.array(polygon, np.float32) for polygon in polygons]


def _last_pixel(image: Image) -> npt.NDArray[np.int64]:
    """Return x and y of the last pixel: a coordinate of 1 in the settings means the centre of this pixel."""
    height, width = image.shape[:2]
    return np.maximum([width - 1, height - 1], 1)
