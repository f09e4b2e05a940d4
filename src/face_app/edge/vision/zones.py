"""Parts of the frame: those that nobody may see, and those where faces count."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from face_app.common import settings
from face_app.edge.image import Box, Image

Points = npt.NDArray[np.float32]


class Zones:
    """The polygons of one camera; they hold for frames of any size."""

    def __init__(self, zones: settings.Zones) -> None:
        self._detect = _polygons(zones.detect)
        self._privacy = _polygons(zones.privacy)

    def blacken(self, image: Image) -> None:
        """Black the privacy zones out, in the frame itself: no stage behind this one ever holds their pixels."""
        for each in self._privacy:  # one by one: where two that are filled together overlap, OpenCV fills neither
            cv2.fillPoly(image, [np.rint(each * _last(image)).astype(np.int32)], (0, 0, 0))

    def hold(self, box: Box, image: Image) -> bool:
        """Tell whether a face counts: whether the centre of its box lies in a detection zone, if there is any."""
        x, y = np.array([box[0] + box[2], box[1] + box[3]]) / 2 / _last(image)
        return not self._detect or any(
            cv2.pointPolygonTest(each, (float(x), float(y)), False) >= 0 for each in self._detect
        )


def _polygons(polygons: Sequence[Sequence[tuple[float, float]]]) -> list[Points]:
    return [np.array(polygon, np.float32) for polygon in polygons]


def _last(image: Image) -> npt.NDArray[np.int64]:
    """The last pixel of each direction, where 1 in a setting lies."""
    height, width = image.shape[:2]
    return np.maximum([width - 1, height - 1], 1)
