"""Where the faces of a frame are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from face_app import settings
from face_app.edge.image import Box, Image, clamp
from face_app.edge.model import read_model
from face_app.errors import DetectorError

OVERLAP = 0.3  # of two boxes that YuNet takes for one face; OpenCV's default
MOST = 5000  # candidates that YuNet compares; OpenCV's default


@dataclass(frozen=True)
class Detection:
    """One face in one frame.

    Attributes:
        box: The face, clamped to the frame, pixels.
        landmarks: Right eye, left eye, nose, right and left mouth corner as x, y in the frame, or empty.
        score: The detector's confidence, 0 to 1; 1 where it has none.
    """

    box: Box
    landmarks: tuple[tuple[float, float], ...]
    score: float


class Detector(Protocol):
    """Finds faces. `name` goes into the metadata of each."""

    name: str

    def detect(self, image: Image) -> list[Detection]:
        """Find the faces of one frame (H x W x 3, BGR)."""


class YuNet:
    """YuNet (2023mar, 54.6 k parameters) on the CPU through OpenCV: 82 % recall at 97.5 % precision with score 0.8."""

    name = "yunet"

    def __init__(self, detector: settings.Detector) -> None:
        """Load the model.

        Raises:
            DetectorError: This OpenCV cannot run it, or the model is missing or unknown.
        """
        self._width = detector.width
        self._min_face = detector.min_face
        model = np.frombuffer(read_model(detector.model), np.uint8)
        nothing = np.empty(0, np.uint8)
        try:
            self._net = cv2.FaceDetectorYN.create("onnx", model, nothing, (0, 0), detector.score, OVERLAP, MOST)
        except (AttributeError, cv2.error) as error:
            raise DetectorError(
                f"OpenCV {cv2.__version__} cannot run YuNet: install opencv-python-headless >= 4.8, < 5"
            ) from error

    def detect(self, image: Image) -> list[Detection]:
        """Find faces, the surest first. Frames wider than the setting are scaled down to it before."""
        height, width = image.shape[:2]
        scale = min(1.0, self._width / width)
        if scale < 1:
            image = cv2.resize(image, (round(width * scale), max(1, round(height * scale))))  # type: ignore[assignment]
        self._net.setInputSize((image.shape[1], image.shape[0]))
        _, rows = self._net.detect(image)
        found = [] if rows is None else [self._detection(row, scale, width, height) for row in rows.tolist()]
        return [each for each in found if each.box[2] - each.box[0] >= self._min_face]

    @staticmethod
    def _detection(row: list[float], scale: float, width: int, height: int) -> Detection:
        """Read one row of YuNet: x, y, width, height, five points as x, y, score; in scaled pixels."""
        *places, score = row
        x, y, across, down, *points = (place / scale for place in places)
        box = clamp((x, y, x + across, y + down), width, height)
        return Detection(box, tuple(zip(points[::2], points[1::2], strict=True)), score)


class Haar:
    """The write-up's cascade with its figures, on the whole grey frame; here to compare with."""

    name = "haar"

    def __init__(self, detector: settings.Detector) -> None:
        """Load the cascade.

        Raises:
            DetectorError: This OpenCV has none.
        """
        self._min_face = detector.min_face
        try:
            file = Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"  # type: ignore[attr-defined]
            self._cascade = cv2.CascadeClassifier(str(file))
        except (AttributeError, cv2.error) as error:
            raise DetectorError(
                f"OpenCV {cv2.__version__} has no Haar cascade: set detector.name to yunet, or install OpenCV 4"
            ) from error

    def detect(self, image: Image) -> list[Detection]:
        """Find faces; a cascade gives no confidence and no landmarks."""
        height, width = image.shape[:2]
        found = self._cascade.detectMultiScale(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 1.3, 5)
        return [
            Detection(clamp((x, y, x + across, y + down), width, height), (), 1.0)
            for x, y, across, down in (map(float, row) for row in found)
            if across >= self._min_face
        ]


def load_detector(detector: settings.Detector) -> Detector:
    """Load the detector that the settings name.

    Raises:
        DetectorError: It cannot be loaded.
    """
    return YuNet(detector) if detector.name == "yunet" else Haar(detector)
