"""YuNet on OpenCV's own engine: nothing more to install, more than twice the CPU."""

import cv2
import numpy as np

from face_app.common.errors import DetectorError
from face_app.edge.image import Image
from face_app.edge.vision.detectors.yunet import OVERLAP, Rows

MOST = 5000
"""Candidates that are compared; OpenCV's default."""


class OpenCVEngine:
    """`cv2.FaceDetectorYN`."""

    def __init__(self, model: bytes, score: float) -> None:
        """Load the network.

        Args:
            model: The ONNX file.
            score: Least confidence of a row.

        Raises:
            DetectorError: This OpenCV cannot run it.
        """
        weights, nothing = np.frombuffer(model, np.uint8), np.empty(0, np.uint8)
        try:
            self._net = cv2.FaceDetectorYN.create("onnx", weights, nothing, (0, 0), score, OVERLAP, MOST)
        except (AttributeError, cv2.error) as error:
            raise DetectorError(
                f"OpenCV {cv2.__version__} cannot run YuNet: install opencv-python-headless >= 4.8, < 5"
            ) from error

    def run(self, image: Image) -> Rows:
        """Find the faces of a picture."""
        self._net.setInputSize((image.shape[1], image.shape[0]))
        _, rows = self._net.detect(image)
        return np.empty((0, 15), np.float32) if rows is None else np.asarray(rows, np.float32)
