"""Score the picture of a face: the product of its terms, each above 0 and at most 1.

Six terms come from ISO/IEC 29794-5 (quality of face images), as far as they need no further network: distance of the
eyes, pose, completeness of the head, occlusion, sharpness, exposure. The detector's confidence is the seventh. The face
mesh adds two for the few pictures that may become shots: open eyes, and whether the picture shows a face.

No term is 0: a person who is seen only from the side still has a best picture.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2

from face_app.edge.image import Box, Image, area, clamp, intersection
from face_app.edge.vision.detectors.detection import Detection
from face_app.edge.vision.face_mesh import MeshResult

CONFIDENCE_POWER = 6
"""Nearly all scores of YuNet lie between 0.8 and 0.95. A mask or a hand lowers the score of a large face from 0.95
to 0.91."""
FULL_EYE_DISTANCE = 60.0
"""Distance of the eyes, pixels, above which size adds nothing: the minimum that ISO/IEC 19794-5 requires."""
EYE_DISTANCE_PER_WIDTH = 0.42
"""Distance of the eyes as a share of the box's width in a frontal face; for detectors without landmarks."""
PATCH_SIZE = (64, 80)
"""Width and height, pixels, to which a face is scaled for sharpness: unscaled, larger faces have softer edges."""
HALF_SHARP = 0.12
"""Variance of the Laplacian (Pech-Pacheco et al., 2000) of the scaled face, as a share of the variance of its grey
levels, that counts as half sharp. The ratio does not change with contrast or exposure."""
FRONTAL_NOSE = 0.58
"""Position of a frontal nose between eyes (0) and mouth (1): the median of 37 people who face the camera."""
HEAD_MARGIN = 0.25
"""Margin around the box that belongs to a complete head, as a share of its sides."""
BLACK = 8
WHITE = 247
"""Grey levels below and above which a pixel shows no detail."""
FLAT = 6.0
"""Standard deviation of the grey levels of a face below which noise hides its features."""
MIN_TERM = 0.3
"""Minimum of the terms for sharpness and size: a small distant face may be the only picture of a visit."""
MIN_POSE = 0.1
"""Minimum of the terms for pose and occlusion."""
MIN_DETAIL = 0.45
"""Minimum share of visible detail. Pictures below it are nearly black, white or of one grey, and show no face."""
NO_DETAIL_TERM = 0.01
"""Term for the exposure of a picture without detail: every other picture of the visit is better."""
SHUT, OPEN = 0.15, 0.24
"""Opening of shut and of open eyes: measured 0.11 to 0.20 and 0.21 to 0.34 on faces of more than 75 pixels. The term
compares pictures of one person, so people with narrow eyes have a best picture too."""
MIN_EYES = 0.4
"""Minimum of the term for the eyes."""
EYES_WIDTH = (30.0, 60.0)
"""Widths of a face, pixels, from which the eyes begin to count, and from which they count fully."""
MIN_PRESENCE = 0.4
"""Minimum of the term for the presence of a face: the mesh is unsure about masks and profiles."""
PRESENCE_WIDTH = (20.0, 40.0)
"""Widths of a face, pixels, from which the presence begins to count, and from which it counts fully."""


@dataclass(frozen=True)
class Quality:
    """Rates the quality of one picture.

    Attributes:
        score: Product of the terms, 0 to 1.
        terms: Each term by name, 0 to 1.
    """

    score: float
    terms: dict[str, float]


def assess(
    image: Image, detection: Detection, exceeds: float = -1.0, others: Iterable[Detection] = ()
) -> Quality | None:
    """Score the picture of one face, if it is better than a given score.

    Args:
        image: The whole frame, H x W x 3, BGR.
        detection: The face in it.
        exceeds: Score that the picture must exceed.
        others: The other faces of the frame, which may cover this one.

    Returns:
        None if the score does not exceed it. Pixels are read only if the cheap terms allow a better score.
    """
    terms = {
        "confidence": detection.score**CONFIDENCE_POWER,
        "frontal": _above(MIN_POSE, _frontal(detection)),
        "size": _above(MIN_TERM, min(1.0, _eye_distance(detection) / FULL_EYE_DISTANCE)),
        "whole": _whole(detection.box, image),  # at least 0.4, because the box lies inside the frame
        "clear": _above(MIN_POSE, 1 - _covered(detection.box, [other.box for other in others])),
    }
    if math.prod(terms.values()) <= exceeds:
        return None
    patch = _grey_patch(image, detection.box)
    terms |= {"sharp": _above(MIN_TERM, _sharpness(patch)), "light": _light(patch)}
    score = math.prod(terms.values())
    return Quality(score, terms) if score > exceeds else None


def add_mesh(quality: Quality, mesh: MeshResult, width: float) -> Quality:
    """Return a quality with the terms that the face mesh measured.

    Args:
        quality: Quality without these terms.
        mesh: Measurements of the same picture.
        width: Width of the face, pixels. The smaller the face, the less these terms count.
    """
    opening = min(1.0, max(0.0, (mesh.eye_opening - SHUT) / (OPEN - SHUT)))
    terms = quality.terms | {
        "eyes": 1 - (1 - MIN_EYES) * (1 - opening) * _weight(width, EYES_WIDTH),
        "face": 1 - (1 - MIN_PRESENCE) * (1 - mesh.presence) * _weight(width, PRESENCE_WIDTH),
    }
    return Quality(math.prod(terms.values()), terms)


def _above(minimum: float, term: float) -> float:
    """Map 0 to 1 onto the minimum to 1."""
    return minimum + (1 - minimum) * term


def _weight(width: float, limits: tuple[float, float]) -> float:
    """Return 0 below the first limit, 1 above the second, and a ramp between them."""
    low, high = limits
    return min(1.0, max(0.0, (width - low) / (high - low)))


def _covered(box: Box, others: Iterable[Box]) -> float:
    """Return the largest share of a face that a nearer face covers. The lower edge of the nearer one is lower."""
    nearer = (other for other in others if other[3] > box[3])
    return max((intersection(box, other) / max(area(box), 1.0) for other in nearer), default=0.0)


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
    """Return the variance of the Laplacian relative to the variance of the grey levels, mapped to 0 to 1."""
    _, edges = cv2.meanStdDev(cv2.Laplacian(patch, cv2.CV_16S))
    _, contrast = cv2.meanStdDev(patch)
    ratio = (float(edges[0, 0]) / max(float(contrast[0, 0]), FLAT)) ** 2
    return ratio / (ratio + HALF_SHARP)


def has_detail(quality: Quality) -> bool:
    """Return whether the picture shows anything."""
    return quality.terms["light"] >= MIN_DETAIL


def _light(patch: Image) -> float:
    """Return the share of pixels that are neither black nor white, reduced where the face has hardly any contrast.

    Brightness itself is no defect: as long as its details are visible, a face may be dark or bright.
    """
    _, contrast = cv2.meanStdDev(patch)
    detailed = cv2.countNonZero(cv2.inRange(patch, (BLACK,), (WHITE,))) / patch.size
    light = detailed * min(1.0, float(contrast[0, 0]) / FLAT)
    return light if light >= MIN_DETAIL else NO_DETAIL_TERM
