"""YuNet (Wu, Peng and Yu, 2023), 54.6 k parameters, on the CPU.

Two engines run the same network to the same boxes: ONNX Runtime needs less than half of the CPU of OpenCV's own.
On the small boards that this is for, the CPU is also faster than the GPU (OpenCV Zoo's benchmark: Jetson Nano 5.6 ms
against 11.0 ms at 160x120).
"""

from typing import Protocol, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from face_app.common import settings
from face_app.edge.image import Image, area, clamp
from face_app.edge.vision.detectors.detection import Detection

OVERLAP = 0.3
"""Intersection over union from which two boxes are one face; the authors' figure, and OpenCV's default."""
STEP = 32
"""Pixels: both sides of the network's input are multiples of its largest stride. 640 x 360 is squeezed by 2 %."""
ENLARGE = 2.0
"""Most that a small frame is enlarged. Of street photos 400 pixels wide, faces of 20 pixels and more: 94 % are found
at 640 against 90 % as they are; beyond twice nothing is left to gain."""

Rows: TypeAlias = npt.NDArray[np.float32]
"""N x 15: x, y, width, height, five points as x, y, score; in pixels of what the engine was given."""


class Engine(Protocol):
    """What runs the network."""

    def run(self, image: Image) -> Rows:
        """Find the faces of a picture whose sides are multiples of `STEP`: all with the least score, a row each."""


class YuNet:
    """Scales a frame for the network, and its answer back."""

    name = "yunet"

    def __init__(self, engine: Engine, *, width: int, min_face: int) -> None:
        """Take an engine that is loaded.

        Args:
            engine: Runs the network.
            width: Pixels that the longer side of a frame is scaled to.
            min_face: Least width of a face, pixels of the frame.
        """
        self._engine = engine
        self._width = width
        self._min_face = min_face

    def detect(self, image: Image) -> list[Detection]:
        """Find the faces of one frame."""
        height, width = image.shape[:2]
        scale = min(self._width / max(width, height), ENLARGE)
        size = _whole_steps(width * scale), _whole_steps(height * scale)
        rows = self._engine.run(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR))  # type: ignore[arg-type]
        rows[:, 0:14:2] *= width / size[0]
        rows[:, 1:14:2] *= height / size[1]
        # The network's sizes are powers of e, which may leave the numbers there are.
        rows = rows[np.isfinite(rows).all(axis=1) & (rows[:, 2] >= self._min_face)]
        faces = [_detection(row, width, height) for row in rows.tolist()]
        return [face for face in faces if area(face.box) > 0]


def _detection(row: list[float], width: int, height: int) -> Detection:
    x, y, across, down, *points, score = row
    box = clamp((x, y, x + across, y + down), width, height)
    return Detection(box, tuple(zip(points[::2], points[1::2], strict=True)), score)


def _whole_steps(length: float) -> int:
    """The nearest length that the network takes; black filled up to the next one would be calculated like the rest.

    Two steps at least: with one, OpenCV 4.14's own engine answers with what happened to be in memory.
    """
    return max(2, round(length / STEP)) * STEP


def least_score(detector: settings.Detector) -> float:
    """What the engines leave out: a score that neither opens nor keeps a track."""
    return min(detector.keep, detector.score)
