"""How good a picture of a face is: five terms, each from 0 to 1, and their product.

The terms are those of ISO/IEC 29794-5 (face image quality) that can be measured without another network: distance of
the eyes, sharpness, pose, exposure, and whether the head is whole. The detector's confidence is the sixth.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from face_app.edge.detectors.detection import Detection
from face_app.edge.image import Box, Image, clamp

EYES = 60.0
"""Pixels between the eyes from which size adds nothing: ISO/IEC 19794-5 asks for 60 at least, and recognisers look at
112 pixels of a face, where they are 50 apart."""
EYES_OF_WIDTH = 0.42
"""Distance of the eyes as a part of the box's width, frontal; for detectors without landmarks."""
PATCH = (64, 80)
"""The face's size, pixels, for sharpness: the same for all, or a larger face would have softer edges."""
SHARP = 150.0
"""Variance of the Laplacian (Pech-Pacheco et al., 2000) on a `PATCH` that is half sharp: a face of 40 pixels in good
light has 300, one that walks past in a dim room 50."""
NOSE_DOWN = 0.58
"""Where a frontal nose lies between eyes and mouth, as a part; the median of 37 people who look into the camera."""
HEADROOM = 0.25
"""Around the box that belongs to a whole head, as a part of its sides."""
MIDDLE = 0.5, 0.3
"""Mean brightness of a well exposed face, 0 to 1, and how far from it counts for nothing less."""
CLIPPED = 8, 247
"""Grey levels beyond which a pixel is black or white and shows no face."""


@dataclass(frozen=True)
class Quality:
    """How good a picture of a face is.

    Attributes:
        score: 0 to 1.
        terms: What it is the product of, by name, each 0 to 1.
    """

    score: float
    terms: dict[str, float]


def rate(image: Image, detection: Detection) -> Quality:
    """Rate the picture of one face.

    Args:
        image: The whole frame, H x W x 3, BGR.
        detection: The face in it.
    """
    patch = _patch(image, detection.box)
    terms = {
        "confidence": detection.score**2,  # of YuNet's scores nearly all lie between 0.8 and 0.95
        "frontal": _frontal(detection),
        "sharp": 0.3 + 0.7 * _sharp(patch),
        "size": 0.3 + 0.7 * min(1.0, _eyes(detection) / EYES),
        "whole": _whole(detection.box, image),
        "light": _light(patch),
    }
    return Quality(math.prod(terms.values()), terms)


def _patch(image: Image, box: Box) -> Image:
    """The face in grey, `PATCH` pixels."""
    x1, y1, x2, y2 = (round(edge) for edge in box)
    x, y = min(x1, image.shape[1] - 1), min(y1, image.shape[0] - 1)
    face = image[y : max(y2, y + 1), x : max(x2, x + 1)]
    return cv2.cvtColor(cv2.resize(face, PATCH, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)  # type: ignore[return-value]


def _eyes(detection: Detection) -> float:
    """Distance of the eyes, pixels. That of a turned head is less than it would be; its width says more then."""
    by_width = (detection.box[2] - detection.box[0]) * EYES_OF_WIDTH
    if not detection.landmarks:
        return by_width
    return max(math.dist(*detection.landmarks[:2]), by_width)


def _frontal(detection: Detection) -> float:
    """How much the head is turned towards the camera, from five points (after Linzaer's face-track-detect-extract).

    Sideways: the nose's distance from the middle of the eyes, along their line; half the eyes' distance is a profile.
    Up and down: where the nose lies between the eyes and the mouth.
    """
    if not detection.landmarks:
        return 1.0
    right, left, nose, *mouth = np.array(detection.landmarks)
    across, middle = left - right, (left + right) / 2
    between = float(np.hypot(*across))
    down = np.mean(mouth, axis=0) - middle
    long = float(np.hypot(*down))
    if between < 1 or long < 1:
        return 0.0
    yaw = abs(float((nose - middle) @ across)) / between**2
    pitch = abs(float((nose - middle) @ down) / long**2 - NOSE_DOWN)
    return float(max(0.0, 1 - 2 * yaw) * max(0.0, 1 - 2 * pitch))


def _sharp(patch: Image) -> float:
    edges = float(cv2.Laplacian(patch, cv2.CV_32F).var())
    return edges / (edges + SHARP)


def _whole(box: Box, image: Image) -> float:
    """How much of the head's surroundings lies in the frame."""
    x1, y1, x2, y2 = box
    across, down = (x2 - x1) * HEADROOM, (y2 - y1) * HEADROOM
    around = (x1 - across, y1 - down, x2 + across, y2 + down)
    return _area(clamp(around, image.shape[1], image.shape[0])) / max(_area(around), 1.0)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _light(patch: Image) -> float:
    """Whether the face is neither too dark nor too bright, and how much of it shows anything."""
    best, around = MIDDLE
    off = max(0.0, abs(float(patch.mean()) / 255 - best) - around) / (0.5 - around)
    lost = float(((patch < CLIPPED[0]) | (patch > CLIPPED[1])).mean())
    return max(0.0, 1 - off) * (1 - lost)
