"""Run YuNet with ONNX Runtime. Decoding and non-maximum suppression follow OpenCV's ``FaceDetectorYN``."""

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]

from face_app.edge.image import Image
from face_app.edge.vision.detectors.yunet import MAX_IOU, Rows

STRIDES = (8, 16, 32)
"""Pixels between the anchors of each of the three scales (Wu, Peng and Yu, 2023)."""
_FIXED_SIZE = b"\x0a\x03\x08\x80\x05" * 2
_FREE_SIZE = b"\x0a\x03\x12\x01h\x0a\x03\x12\x01w"
"""Bytes in the model that declare the input size: 640 x 640, and a free size of the same length. With a free size ONNX
Runtime accepts any multiple of 32; the network itself has no fixed size."""


class OnnxEngine:
    """Runs the network on one thread. Two threads took as long and twice the CPU, because they spin while they wait."""

    def __init__(self, model: bytes, score: float) -> None:
        """Load the network.

        Args:
            model: Bytes of the ONNX file.
            score: Minimum confidence of a face.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # only fatal errors: it would warn about the declared output sizes
        free = model.replace(_FIXED_SIZE, _FREE_SIZE, 1)
        self._session = onnxruntime.InferenceSession(free, options, providers=["CPUExecutionProvider"])
        self._outputs = [f"{part}_{stride}" for stride in STRIDES for part in ("cls", "obj", "bbox", "kps")]
        self._score = score
        self._memory = np.empty(0, np.float32)

    def run(self, image: Image) -> Rows:
        """Return one row per face of a picture (H x W x 3, BGR)."""
        if self._memory.size < image.size:
            self._memory = np.empty(image.size, np.float32)
        # The memory is reused: allocating it for each picture costs more than filling it.
        planes = self._memory[: image.size].reshape(1, 3, *image.shape[:2])
        for plane, channel in zip(planes[0], cv2.split(image), strict=True):
            plane[:] = channel
        outputs = self._session.run(self._outputs, {"input": planes})
        columns = image.shape[1]
        scales = [
            self._decode(stride, columns // stride, *outputs[4 * index : 4 * index + 4])  # the four parts of a scale
            for index, stride in enumerate(STRIDES)
        ]
        return _suppress_overlaps(np.concatenate(scales))

    def _decode(  # noqa: PLR0913, PLR0917
        self,
        stride: int,
        columns: int,
        classes: npt.NDArray[np.float32],
        objects: npt.NDArray[np.float32],
        boxes: npt.NDArray[np.float32],
        points: npt.NDArray[np.float32],
    ) -> Rows:
        """Return the faces of one scale that reach the minimum score.

        Args:
            stride: Pixels between two anchors.
            columns: Anchors per line.
            classes: Class score of each of A anchors, 0 to 1, 1 x A x 1.
            objects: Objectness of each anchor, 0 to 1, 1 x A x 1.
            boxes: Offset of the centre in strides and logarithm of the size in strides, 1 x A x 4.
            points: Offsets of the landmarks in strides, 1 x A x 10.
        """
        squares = (classes * objects)[0, :, 0]
        found = np.flatnonzero(squares >= self._score**2)
        if not found.size:
            return np.empty((0, 15), np.float32)
        anchors = np.stack(np.divmod(found, columns)[::-1], axis=1).astype(np.float32)
        centres = (anchors + boxes[0, found, :2]) * stride
        sizes = np.exp(boxes[0, found, 2:]) * stride
        landmarks = (np.tile(anchors, 5) + points[0, found]) * stride
        scores = np.sqrt(squares[found, None])
        return np.hstack([centres - sizes / 2, sizes, landmarks, scores], dtype=np.float32)


def _suppress_overlaps(rows: Rows) -> Rows:
    """Return the most confident row of each face, ordered by confidence (non-maximum suppression)."""
    selected = cv2.dnn.NMSBoxes(rows[:, :4].tolist(), rows[:, 14].tolist(), 0.0, MAX_IOU) if len(rows) else ()
    return rows[np.array(selected, dtype=np.intp)]
