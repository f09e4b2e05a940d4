"""Each defect lowers only its own term; the score stays between 0 and 1 for any input."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from face_app.edge.image import clamp
from face_app.edge.vision.detectors.detection import Detection
from face_app.edge.vision.face_mesh import MeshResult
from face_app.edge.vision.quality import MIN_EYES, MIN_POSE, MIN_PRESENCE, add_mesh, assess
from support.clips import drawn
from support.detections import detection

TERMS = {"confidence", "frontal", "sharp", "size", "whole", "clear", "light"}
IMAGE = drawn((200, 200, 70), size=(640, 480))
FACE = detection(130, 110, 140, height=180)


def lowered(image, face, before=None):
    """Return the terms that are clearly lower than those of a good picture."""
    good, now = before or assess(IMAGE, FACE), assess(image, face)
    return {name for name in TERMS if now.terms[name] < 0.85 * good.terms[name]}


def test_scores_a_good_picture():
    quality = assess(IMAGE, FACE)
    assert quality.terms.keys() == TERMS
    assert quality.score == pytest.approx(np.prod(list(quality.terms.values())))
    assert quality.score > 0.3
    assert quality.terms["whole"] == 1.0
    assert all(type(value) is float for value in (quality.score, *quality.terms.values())), "they go into JSON"


def test_blur_lowers_sharpness():
    assert lowered(cv2.GaussianBlur(IMAGE, (0, 0), 8), FACE) == {"sharp"}


def test_motion_blur_lowers_sharpness():
    assert lowered(cv2.blur(IMAGE, (25, 1)), FACE) == {"sharp"}


@pytest.mark.parametrize("turn", [-0.3, 0.3])
def test_a_turned_head_is_less_frontal(turn):
    assert lowered(IMAGE, detection(130, 110, 140, height=180, turn=turn)) == {"frontal"}


def test_a_profile_has_a_low_score_above_zero():
    for turn in (-0.5, 0.5, 0.9):
        quality = assess(IMAGE, detection(130, 110, 140, height=180, turn=turn))
        assert quality.terms["frontal"] == pytest.approx(MIN_POSE)
        assert quality.score > 0


def test_the_score_falls_with_the_turn():
    turned = [assess(IMAGE, detection(130, 110, 140, height=180, turn=turn)).score for turn in (0, 0.1, 0.2, 0.3, 0.4)]
    assert turned == sorted(turned, reverse=True)
    assert len(set(turned)) == len(turned)


def test_a_lowered_head_is_less_frontal():
    points = list(FACE.landmarks)
    points[2] = (points[2][0], points[3][1])
    assert lowered(IMAGE, Detection(FACE.box, tuple(points), FACE.score)) == {"frontal"}


@pytest.mark.parametrize("tilt", [-0.6, 0.6])
def test_a_tilted_head_is_less_frontal(tilt):
    assert lowered(IMAGE, tilted(tilt)) == {"frontal"}


def test_a_horizontal_head_is_not_frontal():
    assert assess(IMAGE, tilted(np.pi / 2)).terms["frontal"] == pytest.approx(MIN_POSE)
    assert assess(IMAGE, tilted(np.pi)).terms["frontal"] == pytest.approx(MIN_POSE)


def tilted(angle):
    """Return the face with its landmarks turned about its middle, radians."""
    points = np.array([complex(*point) for point in FACE.landmarks])
    turned = (points - (200 + 200j)) * np.exp(1j * angle) + (200 + 200j)
    return Detection(FACE.box, tuple((float(point.real), float(point.imag)) for point in turned), FACE.score)


def test_returns_none_unless_the_score_is_exceeded():
    score = assess(IMAGE, FACE).score
    assert assess(IMAGE, FACE, exceeds=score) is None
    assert assess(IMAGE, FACE, exceeds=score - 1e-9).score == score
    assert assess(IMAGE, detection(130, 110, 140, height=180, turn=0.5), exceeds=0.2) is None


@pytest.mark.parametrize("picture", [np.zeros_like(IMAGE), np.full_like(IMAGE, 255), np.full_like(IMAGE, 120)])
def test_a_picture_without_details_lowers_exposure(picture):
    assert assess(picture, FACE).terms["light"] < 0.2


def test_black_and_white_pixels_lower_exposure():
    """In hard light one half of a face is black, the other white, and the mean brightness fits."""
    hard = np.zeros_like(IMAGE)
    hard[:, 200:] = 255
    assert assess(hard, FACE).terms["light"] < 0.2


def exposed(image, change):
    return np.clip(change(image.astype(float)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image * 0.5,
        lambda image: image * 0.3,
        lambda image: image * 0.6 + 90,
        lambda image: 128 + (image - 128) * 0.5,
        lambda image: 255 * (image / 255) ** 0.6,
        lambda image: 255 * (image / 255) ** 1.8,
    ],
    ids=["half", "third", "bright", "pale", "gamma 0.6", "gamma 1.8"],
)
def test_exposure_contrast_and_tone_hardly_change_the_score_of_a_visible_face(change):
    quality, changed = assess(IMAGE, FACE), assess(exposed(IMAGE, change), FACE)
    assert changed.score == pytest.approx(quality.score, rel=0.15)


@pytest.mark.parametrize(("x", "covered"), [(60, True), (400, False)])
def test_a_nearer_face_covers_a_face(x, covered):
    nearer = detection(x, 150, 160, height=220)
    changed = assess(IMAGE, FACE, others=[nearer])
    assert (changed.terms["clear"] < 0.7) == covered
    assert assess(IMAGE, nearer, others=[FACE]).terms["clear"] == 1.0, "the nearer face is free"


OPEN, SHUT, NO_FACE = MeshResult(1.0, 0.3), MeshResult(1.0, 0.15), MeshResult(0.0, 0.3)


def test_shut_eyes_and_doubtful_faces_score_lower():
    quality = assess(IMAGE, FACE)
    scores = [add_mesh(quality, mesh, 140).score for mesh in (OPEN, SHUT, NO_FACE)]
    assert scores == pytest.approx([quality.score, quality.score * MIN_EYES, quality.score * MIN_PRESENCE])


def test_the_mesh_counts_less_for_smaller_faces():
    quality = assess(IMAGE, FACE)
    for mesh in (SHUT, NO_FACE):
        scores = [add_mesh(quality, mesh, width).score for width in (15, 25, 35, 45, 140)]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] == pytest.approx(quality.score)


@pytest.mark.parametrize("place", [(0, 110), (500, 110), (130, 0), (130, 300)])
def test_a_head_at_the_border_is_not_whole(place):
    """On noise, so that every place is as sharp and as bright as every other."""
    image = np.random.default_rng(1).integers(60, 180, (480, 640, 3), np.uint8)
    assert lowered(image, detection(*place, 140, height=180), before=assess(image, FACE)) == {"whole"}


def test_a_small_face_lowers_only_size():
    small = cv2.resize(IMAGE, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    box = tuple(edge / 5 for edge in FACE.box)
    points = tuple((x / 5, y / 5) for x, y in FACE.landmarks)
    assert "size" in lowered(small, Detection(box, points, FACE.score))
    assert "sharp" not in lowered(small, Detection(box, points, FACE.score)), "a small picture is not blurred"


def test_a_doubtful_detection_lowers_confidence():
    assert lowered(IMAGE, detection(130, 110, 140, score=0.6, height=180)) == {"confidence"}


def test_ignores_pose_without_landmarks():
    quality = assess(IMAGE, Detection(FACE.box, (), 1.0))
    assert quality.terms["frontal"] == 1.0
    assert quality.terms["size"] == pytest.approx(assess(IMAGE, FACE).terms["size"], abs=0.1)


numbers = st.floats(-3000, 3000, width=32)


@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    corners=st.tuples(numbers, numbers, numbers, numbers),
    points=st.lists(st.tuples(numbers, numbers), min_size=5, max_size=5) | st.just([]),
    score=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_score_of_any_input_is_between_0_and_1(size, corners, points, score, seed):
    image = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    x1, y1, x2, y2 = corners
    box = clamp((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), *size)
    quality = assess(image, Detection(box, tuple(points), score))
    assert 0 <= quality.score <= 1
    assert all(0 <= term <= 1 for term in quality.terms.values())
