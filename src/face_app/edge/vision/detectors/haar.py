"""Run the Haar cascade of the original homework, for comparison."""

from pathlib import Path

import cv2

from face_app.common import settings
from face_app.common.errors import DetectorError
from face_app.edge.image import Image, clamp
from face_app.edge.vision.detectors.detection import Detection, Region
from face_app.edge.vision.enhance import DAYLIGHT, Light

SCALE_FACTOR = 1.3
MIN_NEIGHBOURS = 5
"""Parameters of the cascade, as in the original homework."""


class Haar:
    """Finds frontal faces in the whole grey frame, with scale factor 1.3 and five neighbours."""

    name = "haar"
    width: int | None = None

    def __init__(self, detector: settings.Detector) -> None:
        """Load the cascade.

        Raises:
            DetectorError: This OpenCV has no cascades.
        """
        self._min_face = detector.min_face
        try:
            file = Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"  # type: ignore[attr-defined]
            self._cascade = cv2.CascadeClassifier(str(file))
        except (AttributeError, cv2.error) as error:
            raise DetectorError(
                f"OpenCV {cv2.__version__} has no Haar cascade: set detector.name to yunet, or install OpenCV 4"
            ) from error

    def detect(self, image: Image, region: Region | None = None, light: Light = DAYLIGHT) -> list[Detection]:  # noqa: ARG002
        """Return the faces of one whole frame. A cascade reports neither confidence nor landmarks."""
        height, width = image.shape[:2]
        found = self._cascade.detectMultiScale(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), SCALE_FACTOR, MIN_NEIGHBOURS)
        return [
            Detection(clamp((x, y, x + columns, y + rows), width, height), (), 1.0)
            for x, y, columns, rows in (map(float, row) for row in found)
            if columns >= self._min_face
        ]
