"""Run YuNet with OpenCV's own engine: it needs no further package, but more than twice the CPU."""

import cv2
import numpy as np

from face_app.common.errors import DetectorError
from face_app.edge.image import Image
from face_app.edge.vision.detectors.yunet import MAX_IOU, Rows

MAX_CANDIDATES = 5000
"""Maximum number of candidates that non-maximum suppression compares; OpenCV's default."""


class OpenCVEngine:
    """Wraps `cv2.FaceDetectorYN`."""

    def __init__(self, model: bytes, score: float) -> None:
        """Load the network.

        Args:
            model: Bytes of the ONNX file.
            score: Minimum confidence of a face.

        Raises:
            DetectorError: This OpenCV cannot run the network.
        """
        weights, config = np.frombuffer(model, np.uint8), np.empty(0, np.uint8)
        try:
            self._net = cv2.FaceDetectorYN.create("onnx", weights, config, (0, 0), score, MAX_IOU, MAX_CANDIDATES)
        except (AttributeError, cv2.error) as error:
            raise DetectorError(
                f"OpenCV {cv2.__version__} cannot run YuNet: install opencv-python-headless >= 4.8, < 5"
            ) from error

    def run(self, image: Image) -> Rows:
        """Return one row per face of a picture (H x W x 3, BGR)."""
        self._net.setInputSize((image.shape[1], image.shape[0]))
        _, rows = self._net.detect(image)
        return np.empty((0, 15), np.float32) if rows is None else np.asarray(rows, np.float32)
