"""YuNet on ONNX Runtime, and what OpenCV does around the network: anchors to boxes, one box a face."""

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]

from face_app.edge.image import Image
from face_app.edge.vision.detectors.yunet import OVERLAP, Rows

STRIDES = (8, 16, 32)
"""Pixels between the anchors of each of the three scales (Wu, Peng and Yu, 2023)."""
_FIXED = b"\x0a\x03\x08\x80\x05" * 2
_FREE = b"\x0a\x03\x12\x01h\x0a\x03\x12\x01w"
"""The file declares its input as 640 x 640; with names in the place of the figures (of the same length, so nothing
moves) ONNX Runtime takes any multiple of 32. The network itself has no fixed size."""


class OnnxEngine:
    """One session on one thread: two gave the same time for twice the CPU on two cores, and spin while they wait."""

    def __init__(self, model: bytes, score: float) -> None:
        """Load the network.

        Args:
            model: The ONNX file.
            score: Least confidence of a row.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # it would warn of the outputs' declared sizes, a line a frame size
        free = model.replace(_FIXED, _FREE, 1)
        self._session = onnxruntime.InferenceSession(free, options, providers=["CPUExecutionProvider"])
        self._outputs = [f"{part}_{stride}" for stride in STRIDES for part in ("cls", "obj", "bbox", "kps")]
        self._score = score
        self._planes = np.empty((1, 3, 0, 0), np.float32)

    def run(self, image: Image) -> Rows:
        """Find the faces of a picture."""
        if self._planes.shape[2:] != image.shape[:2]:
            self._planes = np.empty((1, 3, *image.shape[:2]), np.float32)
        # Filled, not made anew: to get new memory for each look costs more than to fill it.
        for plane, channel in zip(self._planes[0], cv2.split(image), strict=True):
            plane[:] = channel
        answers = self._session.run(self._outputs, {"input": self._planes})
        columns = image.shape[1]
        scales = [
            self._faces(stride, columns // stride, *answers[4 * place : 4 * place + 4])
            for place, stride in enumerate(STRIDES)
        ]
        return _one_a_face(np.concatenate(scales))

    def _faces(  # noqa: PLR0913, PLR0917
        self,
        stride: int,
        columns: int,
        face: npt.NDArray[np.float32],
        there: npt.NDArray[np.float32],
        boxes: npt.NDArray[np.float32],
        points: npt.NDArray[np.float32],
    ) -> Rows:
        """Read the anchors of one scale that are sure enough, as OpenCV's ``FaceDetectorYN`` does."""
        scores = np.sqrt(np.clip(face[0, :, 0], 0, 1) * np.clip(there[0, :, 0], 0, 1))
        sure = np.flatnonzero(scores >= self._score)
        anchors = np.stack(np.divmod(sure, columns)[::-1], axis=1).astype(np.float32)
        centres = (anchors + boxes[0, sure, :2]) * stride
        sizes = np.exp(boxes[0, sure, 2:]) * stride
        landmarks = (np.tile(anchors, 5) + points[0, sure]) * stride
        return np.hstack([centres - sizes / 2, sizes, landmarks, scores[sure, None]], dtype=np.float32)


def _one_a_face(rows: Rows) -> Rows:
    """Keep the surest of boxes that are one face, the surest first."""
    kept = cv2.dnn.NMSBoxes(rows[:, :4].tolist(), rows[:, 14].tolist(), 0.0, OVERLAP) if len(rows) else ()
    return rows[np.array(kept, dtype=np.intp)]
