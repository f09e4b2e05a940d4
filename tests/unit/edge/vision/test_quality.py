"""Each term falls by what it is there for, and by nothing else; the score is a share of 1 for anything at all."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from face_app.edge.image import clamp
from face_app.edge.vision.detectors.detection import Detection
from face_app.edge.vision.quality import rate
from services.clips import drawn
from services.detections import detection

TERMS = {"confidence", "frontal", "sharp", "size", "whole", "light"}
IMAGE = drawn((200, 200, 70), size=(640, 480))
FACE = detection(130, 110, 140, height=180)


def fallen(image, face, before=None):
    """Which terms are clearly less than those of a good picture."""
    good, now = before or rate(IMAGE, FACE), rate(image, face)
    return {name for name in TERMS if now.terms[name] < 0.85 * good.terms[name]}


def test_a_good_picture():
    quality = rate(IMAGE, FACE)
    assert quality.terms.keys() == TERMS
    assert quality.score == pytest.approx(np.prod(list(quality.terms.values())))
    assert quality.score > 0.3
    assert quality.terms["whole"] == 1.0
    assert all(type(value) is float for value in (quality.score, *quality.terms.values())), "they go into JSON"


def test_blur_is_less_sharp():
    assert fallen(cv2.GaussianBlur(IMAGE, (0, 0), 8), FACE) == {"sharp"}


def test_smear_is_less_sharp():
    assert fallen(cv2.blur(IMAGE, (25, 1)), FACE) == {"sharp"}


@pytest.mark.parametrize("turn", [-0.3, 0.3])
def test_a_head_that_is_turned_is_less_frontal(turn):
    assert fallen(IMAGE, detection(130, 110, 140, height=180, turn=turn)) == {"frontal"}


def test_a_profile_is_not_frontal_at_all():
    for turn in (-0.5, 0.5, 0.9):
        assert rate(IMAGE, detection(130, 110, 140, height=180, turn=turn)).score == 0


def test_the_more_it_is_turned_the_less():
    turned = [rate(IMAGE, detection(130, 110, 140, height=180, turn=turn)).score for turn in (0, 0.1, 0.2, 0.3, 0.4)]
    assert turned == sorted(turned, reverse=True)
    assert len(set(turned)) == len(turned)


def test_a_head_that_looks_down_is_less_frontal():
    points = list(FACE.landmarks)
    points[2] = (points[2][0], points[3][1])
    assert fallen(IMAGE, Detection(FACE.box, tuple(points), FACE.score)) == {"frontal"}


@pytest.mark.parametrize("tilt", [-0.6, 0.6])
def test_a_head_that_is_tilted_is_less_frontal(tilt):
    assert fallen(IMAGE, tilted(tilt)) == {"frontal"}


def test_a_head_that_lies_is_not_frontal_at_all():
    assert rate(IMAGE, tilted(np.pi / 2)).terms["frontal"] == pytest.approx(0, abs=1e-9)
    assert rate(IMAGE, tilted(np.pi)).terms["frontal"] == 0


def tilted(angle):
    """The good picture's face, with its points turned about its middle, radians."""
    points = np.array([complex(*point) for point in FACE.landmarks])
    turned = (points - (200 + 200j)) * np.exp(1j * angle) + (200 + 200j)
    return Detection(FACE.box, tuple((float(point.real), float(point.imag)) for point in turned), FACE.score)


def test_a_picture_that_cannot_beat_another_is_not_rated():
    score = rate(IMAGE, FACE).score
    assert rate(IMAGE, FACE, beat=score) is None
    assert rate(IMAGE, FACE, beat=score - 1e-9).score == score
    assert rate(IMAGE, detection(130, 110, 140, height=180, turn=0.5), beat=0.0) is None


@pytest.mark.parametrize("factor", [0.15, 0.0])
def test_dark_is_less_light(factor):
    assert "light" in fallen((IMAGE * factor).astype(np.uint8), FACE)


@pytest.mark.parametrize("added", [90, 255])
def test_bright_is_less_light(added):
    assert "light" in fallen(cv2.add(IMAGE, np.full_like(IMAGE, added)), FACE)


def test_what_is_black_or_white_shows_nothing():
    """Of a face in hard light one half is black, the other white, and the mean is just right."""
    hard = np.zeros_like(IMAGE)
    hard[:, 200:] = 255
    assert rate(hard, FACE).terms["light"] < 0.1


def test_a_little_darker_costs_nothing():
    assert rate((IMAGE * 0.8).astype(np.uint8), FACE).terms["light"] == pytest.approx(
        rate(IMAGE, FACE).terms["light"], abs=0.05
    )


@pytest.mark.parametrize("place", [(0, 110), (500, 110), (130, 0), (130, 300)])
def test_a_head_at_the_edge_of_the_frame_is_not_whole(place):
    """On noise, so that every place is as sharp and as bright as every other."""
    image = np.random.default_rng(1).integers(60, 180, (480, 640, 3), np.uint8)
    assert fallen(image, detection(*place, 140, height=180), before=rate(image, FACE)) == {"whole"}


def test_a_small_face_is_smaller():
    small = cv2.resize(IMAGE, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    box = tuple(edge / 5 for edge in FACE.box)
    points = tuple((x / 5, y / 5) for x, y in FACE.landmarks)
    assert "size" in fallen(small, Detection(box, points, FACE.score))
    assert "sharp" not in fallen(small, Detection(box, points, FACE.score)), "a small picture is no blurred one"


def test_a_doubtful_detection_counts_less():
    assert fallen(IMAGE, detection(130, 110, 140, score=0.6, height=180)) == {"confidence"}


def test_without_landmarks_pose_is_not_judged():
    quality = rate(IMAGE, Detection(FACE.box, (), 1.0))
    assert quality.terms["frontal"] == 1.0
    assert quality.terms["size"] == pytest.approx(rate(IMAGE, FACE).terms["size"], abs=0.1)


numbers = st.floats(-3000, 3000, width=32)


@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    corners=st.tuples(numbers, numbers, numbers, numbers),
    points=st.lists(st.tuples(numbers, numbers), min_size=5, max_size=5) | st.just([]),
    score=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_score_of_anything_is_a_share_of_1(size, corners, points, score, seed):
    image = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    x1, y1, x2, y2 = corners
    box = clamp((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), *size)
    quality = rate(image, Detection(box, tuple(points), score))
    assert 0 <= quality.score <= 1
    assert all(0 <= term <= 1 for term in quality.terms.values())
