"""Score the picture of a face: the product of six terms, each from 0 to 1.

Five terms come from ISO/IEC 29794-5 (quality of face images), as far as they need no further network: distance of the
eyes, pose, completeness of the head, sharpness, exposure. The sixth is the detector's confidence.
"""

import math
from dataclasses import dataclass

import cv2

from face_app.edge.image import Box, Image, area, clamp
from face_app.edge.vision.detectors.detection import Detection

FULL_EYE_DISTANCE = 60.0
"""Distance of the eyes, pixels, above which size adds nothing: the minimum that ISO/IEC 19794-5 requires."""
EYE_DISTANCE_PER_WIDTH = 0.42
"""Distance of the eyes as a share of the box's width in a frontal face; for detectors without landmarks."""
PATCH_SIZE = (64, 80)
"""Width and height, pixels, to which a face is scaled for sharpness: unscaled, larger faces have softer edges."""
HALF_SHARP_VARIANCE = 150.0
"""Variance of the Laplacian (Pech-Pacheco et al., 2000) of the scaled face that counts as half sharp."""
FRONTAL_NOSE = 0.58
"""Position of a frontal nose between eyes (0) and mouth (1): the median of 37 people who look into the camera."""
HEAD_MARGIN = 0.25
"""Margin around the box that belongs to a complete head, as a share of its sides."""
MID_BRIGHTNESS = 0.5
"""Mean brightness of a well exposed face, 0 to 1."""
BRIGHTNESS_TOLERANCE = 0.3
"""Maximum deviation from `MID_BRIGHTNESS` that does not reduce the term."""
BLACK = 8
WHITE = 247
"""Grey levels below and above which a pixel shows no detail."""
MIN_TERM = 0.3
"""Minimum of the sharpness and size terms: a small distant face may be the only picture of a visit."""


@dataclass(frozen=True)
class Quality:
    """Rates the quality of one picture.

    Attributes:
        score: Product of the terms, 0 to 1.
        terms: Each term by name, 0 to 1.
    """

    score: float
    terms: dict[str, float]


def assess(image: Image, detection: Detection, exceeds: float = -1.0) -> Quality | None:
    """Score the picture of one face, if it is better than a given score.

    Args:
        image: The whole frame, H x W x 3, BGR.
        detection: The face in it.
        exceeds: Score that the picture must exceed.

    Returns:
        None if the score does not exceed it. Pixels are read only if the cheap terms allow a better score.
    """
    terms = {
        "confidence": detection.score**2,  # nearly all scores of YuNet lie between 0.8 and 0.95
        "frontal": _frontal(detection),
        "size": MIN_TERM + (1 - MIN_TERM) * min(1.0, _eye_distance(detection) / FULL_EYE_DISTANCE),
        "whole": _whole(detection.box, image),
    }
    if math.prod(terms.values()) <= exceeds:
        return None
    patch = _grey_patch(image, detection.box)
    terms |= {"sharp": MIN_TERM + (1 - MIN_TERM) * _sharpness(patch), "light": _exposure(patch)}
    score = math.prod(terms.values())
    return Quality(score, terms) if score > exceeds else None


def _eye_distance(detection: Detection) -> float:
    """Return the distance of the eyes, pixels. For a turned head, whose eyes seem closer, derive it from the width."""
    by_width = (detection.box[2] - detection.box[0]) * EYE_DISTANCE_PER_WIDTH
    return max(math.dist(*detection.landmarks[:2]), by_width) if detection.landmarks else by_width


def _frontal(detection: Detection) -> float:
    """Return how frontal the head is, 0 to 1, from five points (after Linzaer's Face-Track-Detect-Extract).

    Yaw: distance of the nose from the middle of the eyes, along their line; half the eyes' distance is a profile.
    Pitch: position of the nose between eyes and mouth. Roll: angle between the line of the eyes and the horizon. Points
    are complex numbers, so that a quotient rotates and scales one direction into another.
    """
    if not detection.landmarks:
        return 1.0
    right, left, nose, *mouth = (complex(*point) for point in detection.landmarks)
    across, middle = left - right, (left + right) / 2
    down = sum(mouth) / 2 - middle
    if abs(across) < 1 or abs(down) < 1:
        return 0.0
    yaw = abs(((nose - middle) / across).real)
    pitch = abs(((nose - middle) / down).real - FRONTAL_NOSE)
    upright = max(0.0, across.real / abs(across))
    return max(0.0, 1 - 2 * yaw) * max(0.0, 1 - 2 * pitch) * upright**2


def _whole(box: Box, image: Image) -> float:
    """Return the share of the head, with its margin, that lies inside the frame."""
    x1, y1, x2, y2 = box
    margin_x, margin_y = (x2 - x1) * HEAD_MARGIN, (y2 - y1) * HEAD_MARGIN
    head = (x1 - margin_x, y1 - margin_y, x2 + margin_x, y2 + margin_y)
    return area(clamp(head, image.shape[1], image.shape[0])) / max(area(head), 1.0)


def _grey_patch(image: Image, box: Box) -> Image:
    """Return the face in grey, scaled to `PATCH_SIZE`."""
    x1, y1, x2, y2 = (round(edge) for edge in box)
    x, y = min(x1, image.shape[1] - 1), min(y1, image.shape[0] - 1)
    face = cv2.resize(image[y : max(y2, y + 1), x : max(x2, x + 1)], PATCH_SIZE, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)  # type: ignore[return-value]


def _sharpness(patch: Image) -> float:
    """Return the variance of the Laplacian, mapped to 0 to 1."""
    _, deviation = cv2.meanStdDev(cv2.Laplacian(patch, cv2.CV_16S))
    variance = float(deviation[0, 0]) ** 2
    return variance / (variance + HALF_SHARP_VARIANCE)


def _exposure(patch: Image) -> float:
    """Return how well the mean brightness fits, times the share of pixels that are neither black nor white."""
    deviation = abs(cv2.mean(patch)[0] / 255 - MID_BRIGHTNESS)
    excess = max(0.0, deviation - BRIGHTNESS_TOLERANCE) / (0.5 - BRIGHTNESS_TOLERANCE)
    detailed = cv2.countNonZero(cv2.inRange(patch, (BLACK,), (WHITE,))) / patch.size
    return max(0.0, 1 - excess) * detailed
