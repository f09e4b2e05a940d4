"""Define the image and box types that all stages share, and configure OpenCV."""

import os
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[np.uint8]
"""A picture: height x width x 3, blue, green, red."""

Box: TypeAlias = tuple[float, float, float, float]
"""A rectangle: x1, y1, x2, y2 in pixels of the frame."""


def clamp(box: Box, width: int, height: int) -> Box:
    """Clamp a box to its frame, because detectors return boxes that cross the border.

    Clamp before casting, because a negative float wraps around as an unsigned integer.

    Args:
        box: x1, y1, x2, y2, pixels.
        width: Width of the frame, pixels.
        height: Height of the frame, pixels.
    """
    x1, y1, x2, y2 = box
    return (
        min(max(x1, 0.0), width),
        min(max(y1, 0.0), height),
        min(max(x2, 0.0), width),
        min(max(y2, 0.0), height),
    )


def iou(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes, 0 to 1."""
    shared = intersection(one, other)
    return shared / (area(one) + area(other) - shared) if shared else 0.0


def overlap(one: Box, other: Box) -> float:
    """Return the share of the smaller box that lies inside the other, 0 to 1."""
    return intersection(one, other) / max(min(area(one), area(other)), 1.0)


def intersection(one: Box, other: Box) -> float:
    """Return the area that two boxes share, square pixels."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, down)


def centre(box: Box) -> tuple[float, float]:
    """Return x and y of the centre of a box, pixels."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def area(box: Box) -> float:
    """Return the area of a box, square pixels."""
    return (box[2] - box[0]) * (box[3] - box[1])


def set_up_opencv() -> None:
    """Configure OpenCV. Call this before the first capture is opened.

    OpenCV uses one thread: two were slower on a two-core box. The logs of OpenCV and FFmpeg are switched off: they
    contain many messages about one undecodable file.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    cv2.setNumThreads(1)
