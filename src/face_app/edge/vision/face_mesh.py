"""Check a candidate with a face mesh (Kartynnik et al., 2019): does it show a face, and are the eyes open?

The mesh runs only on the few pictures that may become shots: 3 ms each, as long as a detection at 320 x 192.
"""

import logging
import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from face_app.common.errors import DetectorError
from face_app.edge.image import Image
from face_app.edge.vision.detectors.detection import Detection
from face_app.edge.vision.detectors.model import read_face_mesh

log = logging.getLogger(__name__)

INPUT_SIDE = 192
"""Side of the network's input, pixels."""
SIDE_PER_BOX = 1.4
"""Side of the square that the network sees, as a multiple of the longer side of the box. 1.2 and 1.7 recognise fewer
masked faces."""
POINTS = 468
"""Number of points of the mesh."""
EYES = ((33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380))
"""Points of each eye: outer corner, two of the upper lid, inner corner, two of the lower lid."""


@dataclass(frozen=True)
class MeshResult:
    """Describes a checked picture.

    Attributes:
        presence: Confidence that it shows a face, 0 to 1.
        eye_opening: Height of the narrower eye divided by its width (eye aspect ratio, Soukupova and Cech, 2016).
    """

    presence: float
    eye_opening: float


class FaceMesh:
    """Runs the network on one face."""

    def __init__(self, model: bytes) -> None:
        """Load the network.

        Raises:
            DetectorError: This OpenCV cannot load it.
        """
        try:
            self._net = cv2.dnn.readNetFromTFLite(np.frombuffer(model, np.uint8))
            self._outputs = self._net.getUnconnectedOutLayersNames()
        except (AttributeError, cv2.error) as error:
            raise DetectorError(f"OpenCV {cv2.__version__} cannot load the face mesh: install OpenCV 4.14") from error

    def check(self, image: Image, face: Detection) -> MeshResult:
        """Check one face of a frame (H x W x 3, BGR). The face must have landmarks."""
        blob = cv2.dnn.blobFromImage(_upright(image, face), 1 / 255, swapRB=True)
        self._net.setInput(blob)
        outputs = {output.size: output.ravel() for output in self._net.forward(self._outputs)}
        points = outputs[3 * POINTS].reshape(POINTS, 3)[:, :2].astype(np.float64)
        return MeshResult(_sigmoid(float(outputs[1][0])), min(_opening(points[list(eye)]) for eye in EYES))


def load_face_mesh() -> FaceMesh | None:
    """Load the mesh; return None, with one line in the log, if it cannot be used. The shots are then not checked."""
    try:
        return FaceMesh(read_face_mesh())
    except DetectorError as error:
        log.warning("shots are not checked for open eyes and false faces: %s", error)
        return None


def _upright(image: Image, face: Detection) -> Image:
    """Return a square picture around the face, turned so that the line of its eyes is horizontal."""
    x1, y1, x2, y2 = face.box
    centre = ((x1 + x2) / 2, (y1 + y2) / 2)
    (right_x, right_y), (left_x, left_y) = face.landmarks[:2]
    tilt = math.degrees(math.atan2(left_y - right_y, left_x - right_x))
    scale = INPUT_SIDE / max(SIDE_PER_BOX * max(x2 - x1, y2 - y1), 1.0)
    matrix = cv2.getRotationMatrix2D(centre, tilt, scale)
    matrix[0, 2] += INPUT_SIDE / 2 - centre[0]
    matrix[1, 2] += INPUT_SIDE / 2 - centre[1]
    return cv2.warpAffine(image, matrix, (INPUT_SIDE, INPUT_SIDE), flags=cv2.INTER_LINEAR)  # type: ignore[return-value]


def _opening(eye: npt.NDArray[np.float64]) -> float:
    outer, upper_1, upper_2, inner, lower_2, lower_1 = eye
    height = np.linalg.norm(upper_1 - lower_1) + np.linalg.norm(upper_2 - lower_2)
    return float(height / (2 * max(float(np.linalg.norm(outer - inner)), 1e-6)))


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, value))))
