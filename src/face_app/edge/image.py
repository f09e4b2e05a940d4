"""Pictures and boxes, as every stage of the edge passes them on."""

import os
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[np.uint8]
"""H x W x 3, BGR."""

Box: TypeAlias = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the frame."""


def clamp(box: Box, width: int, height: int) -> Box:
    """Keep a box inside its frame.

    Detectors return boxes that reach over the edge. They are clamped as floats, before any cast: a negative float
    cast to an unsigned integer wraps round.
    """
    x1, y1, x2, y2 = box
    return min(max(x1, 0.0), width), min(max(y1, 0.0), height), min(max(x2, 0.0), width), min(max(y2, 0.0), height)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (area(one) + area(other) - both)


def area(box: Box) -> float:
    """Square pixels of a box."""
    return (box[2] - box[0]) * (box[3] - box[1])


def set_up_opencv() -> None:
    """Set OpenCV up, before the first capture is opened.

    One thread: two made each frame slower on two cores. Silent: what it and FFmpeg have to say about a broken file is
    many lines; ours is one.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    cv2.setNumThreads(1)
