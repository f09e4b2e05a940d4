"""Both engines of YuNet find the same faces, with real weights, in drawn frames of any size."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from face_app.common import settings
from face_app.edge.image import iou
from face_app.edge.vision.detectors.load import load_detector
from support.clips import drawn, empty_frame

ENGINES = ("onnxruntime", "opencv")
pytestmark = pytest.mark.usefixtures("weights")


@functools.cache
def yunet(engine="auto", **changes):
    return load_detector(settings.Detector(engine=engine, **changes))


@pytest.fixture(params=ENGINES)
def engine(request):
    pytest.importorskip("onnxruntime" if request.param == "onnxruntime" else "cv2")
    return request.param


def inside(face, image):
    height, width = image.shape[:2]
    x1, y1, x2, y2 = face.box
    return 0 <= x1 <= x2 <= width and 0 <= y1 <= y2 <= height


@pytest.mark.parametrize("image", [empty_frame(), np.zeros((1, 1, 3), np.uint8), np.zeros((2000, 9, 3), np.uint8)])
def test_finds_nothing_in_empty_frames(engine, image):
    assert yunet(engine).detect(image) == []


def test_finds_two_faces_and_their_landmarks(engine):
    found = yunet(engine).detect(drawn((200, 200, 50), (450, 250, 40), size=(640, 480)))
    assert sorted((each.box[0] + each.box[2]) / 2 for each in found) == pytest.approx([200, 450], abs=12)
    for face in found:
        assert 0.8 <= face.score <= 1
        right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
        assert right_eye[0] < nose[0] < left_eye[0]
        assert right_mouth[0] < nose[0] < left_mouth[0]
        assert right_eye[1] < nose[1] < right_mouth[1]


@pytest.mark.parametrize(
    ("size", "faces"),
    [
        ((320, 240), [(150, 120, 40)]),
        ((640, 480), [(200, 200, 50), (450, 250, 40)]),
        ((1280, 720), [(640, 360, 90), (200, 500, 30)]),
        ((1920, 1080), [(1000, 500, 200)]),
        ((641, 359), [(300, 180, 60)]),
        ((97, 131), [(48, 60, 30)]),
        ((333, 77), [(100, 40, 25)]),
        ((90, 1000), [(45, 800, 30)]),
        ((320, 240), [(15, 120, 45), (300, 230, 40)]),
    ],
)
@pytest.mark.parametrize("width", [320, 640, 1000])
def test_both_engines_find_the_same(size, faces, width):
    pytest.importorskip("onnxruntime")
    image = drawn(*faces, size=size)
    one, other = (yunet(engine, width=width).detect(image) for engine in ENGINES)
    assert len(one) == len(other)
    for mine, theirs in zip(one, other, strict=True):
        assert mine.score == pytest.approx(theirs.score, abs=1e-3)
        assert mine.box == pytest.approx(theirs.box, abs=0.5)
        assert np.array(mine.landmarks) == pytest.approx(np.array(theirs.landmarks), abs=0.5)


def test_the_compared_frames_contain_faces():
    """Otherwise the test above would compare empty lists."""
    assert len(yunet().detect(drawn((640, 360, 90), (200, 500, 30), size=(1280, 720)))) == 2
    assert yunet().detect(drawn((48, 60, 30), size=(97, 131)))


@hypothesis(max_examples=80, deadline=None)
@given(
    size=st.tuples(st.integers(1, 140), st.integers(1, 140)),
    face=st.tuples(st.integers(-20, 160), st.integers(-20, 160), st.integers(4, 120)),
    noise=st.integers(0, 60),
    seed=st.integers(0, 2**32 - 1),
)
def test_both_engines_agree_on_any_small_frame(size, face, noise, seed):
    pytest.importorskip("onnxruntime")
    grain = np.random.default_rng(seed).normal(0, noise, (size[1], size[0], 3))
    image = np.clip(drawn(face, size=size) + grain, 0, 255).astype(np.uint8)
    found = [yunet(engine, score=0.3, keep=0.3, min_face=8).detect(image) for engine in ENGINES]
    for mine, theirs in (found, reversed(found)):
        for each in mine:
            assert inside(each, image)
            assert 0.3 <= each.score <= 1
            assert np.isfinite(each.landmarks).all()
            if each.score > 0.32:  # rounding may put others beyond a threshold
                assert any(iou(each.box, twin.box) > 0.9 or each.box == twin.box for twin in theirs)


@pytest.mark.parametrize("size", [(8, 13), (16, 16), (20, 1000), (1500, 40)])
def test_both_engines_agree_at_the_least_input_size(size):
    """With a smaller input, OpenCV's own engine returned uninitialised memory."""
    pytest.importorskip("onnxruntime")
    image = drawn((size[0] // 2, size[1] // 2, min(size) // 2), size=size)
    one, other = (yunet(engine, score=0.1, keep=0.1, min_face=8).detect(image) for engine in ENGINES)
    assert [each.box for each in one] == [pytest.approx(each.box, abs=0.5) for each in other]


@pytest.mark.parametrize("place", [(8, 120), (312, 120), (160, 4), (160, 236), (2, 2)])
def test_clamps_a_face_at_the_border(engine, place):
    image = drawn((*place, 45))
    for each in yunet(engine, score=0.2, keep=0.2, min_face=8).detect(image):
        assert inside(each, image)


def test_the_network_returns_boxes_over_the_border(engine):
    """Otherwise the test above would prove nothing."""
    (face,) = yunet(engine).detect(drawn((160, 225, 45)))
    assert face.box[3] == 240


def test_clamps_a_face_larger_than_the_frame(engine):
    image = drawn((160, 120, 400))
    assert all(inside(each, image) for each in yunet(engine, score=0.1, keep=0.1).detect(image))


def test_boxes_are_in_pixels_of_the_frame_at_any_width(engine):
    image = drawn((640, 360, 90), size=(1280, 720))
    boxes = []
    for width in (320, 640, 1280):
        (face,) = yunet(engine, width=width).detect(image)
        boxes.append(face.box)
        assert face.landmarks[0][1] == pytest.approx(360 - 0.15 * 90, abs=25)
    assert np.ptp(boxes, axis=0).max() < 35


def test_ignores_small_faces():
    image = drawn((300, 200, 18), size=(640, 480))
    assert yunet(min_face=20).detect(image)
    assert not yunet(min_face=60).detect(image)


def test_the_lower_threshold_applies_to_the_engine():
    image = drawn((300, 200, 50), size=(640, 480))
    assert yunet(score=0.99, keep=0.5).detect(image)
    assert not yunet(score=0.99, keep=0.99).detect(image)
    assert yunet(score=0.5, keep=0.99).detect(image), "the engine gets the lower of the two thresholds"
