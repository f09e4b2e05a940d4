"""How good a picture of a face is: the product of six terms, each from 0 to 1.

Five are those of ISO/IEC 29794-5 (quality of face images) that can be measured without another network: distance of the
eyes, pose, whether the head is whole, sharpness, exposure. The sixth is the detector's confidence.
"""

import math
from dataclasses import dataclass

import cv2

from face_app.edge.image import Box, Image, area, clamp
from face_app.edge.vision.detectors.detection import Detection

EYES = 60.0
"""Pixels between the eyes from which size adds nothing: the least that ISO/IEC 19794-5 asks for."""
EYES_OF_WIDTH = 0.42
"""Distance of the eyes as a part of the box's width, frontal; for detectors without landmarks."""
PATCH = (64, 80)
"""The face's width and height, pixels, for sharpness: the same for all, or a larger face would have softer edges."""
SHARP = 150.0
"""Variance of the Laplacian (Pech-Pacheco et al., 2000) on a `PATCH` that counts as half sharp."""
NOSE_DOWN = 0.58
"""Where a frontal nose lies between eyes and mouth, as a part; the median of 37 people who look into the camera."""
HEADROOM = 0.25
"""Around the box that belongs to a whole head, as a part of its sides."""
MIDDLE, AROUND = 0.5, 0.3
"""Mean brightness of a well exposed face, 0 to 1, and how far from it counts for nothing less."""
BLACK, WHITE = 8, 247
"""Grey levels beyond which a pixel shows nothing."""
FLOOR = 0.3
"""What a face without any sharpness or size still counts: a small one in the distance may be all there ever is."""


@dataclass(frozen=True)
class Quality:
    """How good a picture of a face is.

    Attributes:
        score: 0 to 1.
        terms: What it is the product of, by name, each 0 to 1.
    """

    score: float
    terms: dict[str, float]


def rate(image: Image, detection: Detection, beat: float = -1.0) -> Quality | None:
    """Rate the picture of one face.

    Args:
        image: The whole frame, H x W x 3, BGR.
        detection: The face in it.
        beat: The score that it must have more than.

    Returns:
        None where it cannot beat that: its pixels are not even looked at where the other terms say so already.
    """
    terms = {
        "confidence": detection.score**2,  # of YuNet's scores nearly all lie between 0.8 and 0.95
        "frontal": _frontal(detection),
        "size": FLOOR + (1 - FLOOR) * min(1.0, _eyes(detection) / EYES),
        "whole": _whole(detection.box, image),
    }
    if math.prod(terms.values()) <= beat:
        return None
    patch = _patch(image, detection.box)
    terms |= {"sharp": FLOOR + (1 - FLOOR) * _sharp(patch), "light": _light(patch)}
    score = math.prod(terms.values())
    return Quality(score, terms) if score > beat else None


def _eyes(detection: Detection) -> float:
    """Distance of the eyes, pixels. That of a turned head is less than it would be; its width says more then."""
    by_width = (detection.box[2] - detection.box[0]) * EYES_OF_WIDTH
    return max(math.dist(*detection.landmarks[:2]), by_width) if detection.landmarks else by_width


def _frontal(detection: Detection) -> float:
    """How much the head is turned towards the camera, from five points (after Linzaer's Face-Track-Detect-Extract).

    Sideways: the nose's distance from the middle of the eyes along their line; half the eyes' distance is a profile.
    Up and down: where the nose lies between the eyes and the mouth. Tilted: the line of the eyes against the horizon.
    """
    if not detection.landmarks:
        return 1.0
    right, left, nose, *mouth = (complex(*point) for point in detection.landmarks)
    across, middle = left - right, (left + right) / 2
    down = sum(mouth) / 2 - middle
    if abs(across) < 1 or abs(down) < 1:
        return 0.0
    yaw = abs(((nose - middle) / across).real)
    pitch = abs(((nose - middle) / down).real - NOSE_DOWN)
    upright = max(0.0, across.real / abs(across))
    return max(0.0, 1 - 2 * yaw) * max(0.0, 1 - 2 * pitch) * upright**2


def _whole(box: Box, image: Image) -> float:
    """How much of the head's surroundings lies in the frame."""
    x1, y1, x2, y2 = box
    across, down = (x2 - x1) * HEADROOM, (y2 - y1) * HEADROOM
    around = (x1 - across, y1 - down, x2 + across, y2 + down)
    return area(clamp(around, image.shape[1], image.shape[0])) / max(area(around), 1.0)


def _patch(image: Image, box: Box) -> Image:
    """The face in grey, `PATCH` pixels."""
    x1, y1, x2, y2 = (round(edge) for edge in box)
    x, y = min(x1, image.shape[1] - 1), min(y1, image.shape[0] - 1)
    face = cv2.resize(image[y : max(y2, y + 1), x : max(x2, x + 1)], PATCH, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)  # type: ignore[return-value]


def _sharp(patch: Image) -> float:
    _, spread = cv2.meanStdDev(cv2.Laplacian(patch, cv2.CV_16S))
    edges = float(spread[0, 0]) ** 2
    return edges / (edges + SHARP)


def _light(patch: Image) -> float:
    """Whether the face is neither too dark nor too bright, and how much of it shows anything."""
    off = max(0.0, abs(cv2.mean(patch)[0] / 255 - MIDDLE) - AROUND) / (0.5 - AROUND)
    shown = cv2.countNonZero(cv2.inRange(patch, (BLACK,), (WHITE,))) / patch.size
    return max(0.0, 1 - off) * shown
