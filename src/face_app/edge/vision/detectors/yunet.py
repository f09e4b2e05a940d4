"""Run YuNet (Wu, Peng and Yu, 2023; 54.6 k parameters) on the CPU.

Two engines return the same boxes; ONNX Runtime needs less than half the CPU of OpenCV. On small boards the CPU is also
faster than the GPU (OpenCV Zoo's benchmark: Jetson Nano 5.6 ms against 11.0 ms at 160 x 120).
"""

from typing import Protocol, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from face_app.common import settings
from face_app.edge.image import Image, area, clamp
from face_app.edge.vision.detectors.detection import Detection, Region
from face_app.edge.vision.enhance import DAYLIGHT, Light, enhance

MAX_IOU = 0.3
"""Maximum intersection over union (IoU) of the boxes of two faces; above it, they are one face. The authors' value,
and OpenCV's default."""
INPUT_MULTIPLE = 32
"""Divisor of both sides of the input, pixels: the largest stride of the network. 640 x 360 is squeezed by 2 %."""
MAX_ENLARGEMENT = 2.0
"""Maximum factor by which a small frame is enlarged; a larger factor finds no more faces. In street photos 400
pixels wide, 94 % of the faces of 20 pixels and more are found at 640, and 90 % at 400."""

Rows: TypeAlias = npt.NDArray[np.float32]
"""Faces as an N x 15 array: x, y, width, height, five points as x, y, score; in pixels of the scaled picture."""


class Engine(Protocol):
    """Runs the network."""

    def run(self, image: Image) -> Rows:
        """Return one row per face that reaches the minimum score.

        Args:
            image: H x W x 3, BGR; both sides are multiples of `INPUT_MULTIPLE`.
        """


class YuNet:
    """Scales a frame to the input of the network, and the boxes back to the frame."""

    name = "yunet"

    def __init__(self, engine: Engine, *, width: int, min_face: int) -> None:
        """Use a loaded engine.

        Args:
            engine: Engine that runs the network.
            width: Length to which the longer side of a frame is scaled, pixels.
            min_face: Minimum width of a face, pixels of the frame.
        """
        self.width: int | None = width
        self._engine = engine
        self._length = width
        self._min_face = min_face

    def detect(self, image: Image, region: Region | None = None, light: Light = DAYLIGHT) -> list[Detection]:
        """Return the faces that are at least `min_face` wide; see `Detector.detect`."""
        height, width = image.shape[:2]
        if region is None:
            scale = min(self._length / max(width, height), MAX_ENLARGEMENT)
            region = Region((0, 0, width, height), (input_length(width * scale), input_length(height * scale)))
        x1, y1, x2, y2 = region.box
        part: Image = cv2.resize(image[y1:y2, x1:x2], region.size, interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
        rows = self._engine.run(enhance(part, light))
        rows[:, 0:14:2] *= (x2 - x1) / region.size[0]
        rows[:, 1:14:2] *= (y2 - y1) / region.size[1]
        rows[:, [0, *range(4, 14, 2)]] += x1
        rows[:, [1, *range(5, 14, 2)]] += y1
        # Sizes are exponentials of the network's output, which may overflow.
        rows = rows[np.isfinite(rows).all(axis=1) & (rows[:, 2] >= self._min_face)]
        faces = [_detection(row, region.box) for row in rows.tolist()]
        return [face for face in faces if area(face.box) > 0]


def _detection(row: list[float], part: tuple[int, int, int, int]) -> Detection:
    x, y, width, height, *points, score = row
    x1, y1, x2, y2 = part
    left, top, right, bottom = clamp((x - x1, y - y1, x + width - x1, y + height - y1), x2 - x1, y2 - y1)
    box = left + x1, top + y1, right + x1, bottom + y1
    return Detection(box, tuple(zip(points[::2], points[1::2], strict=True)), score)


def input_length(length: float) -> int:
    """Return the nearest length that the network accepts; padding to the next larger length would cost CPU.

    It is at least twice `INPUT_MULTIPLE`: for a smaller input, the engine of OpenCV 4.14 returns uninitialised memory.
    """
    return max(2, round(length / INPUT_MULTIPLE)) * INPUT_MULTIPLE


def min_score(detector: settings.Detector) -> float:
    """Return the minimum score of a detection that can start or continue a track."""
    return min(detector.keep, detector.score)
