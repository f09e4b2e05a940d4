"""The Haar cascade finds drawn faces."""

import cv2
import numpy as np
import pytest

from face_app.common import settings
from face_app.common.errors import DetectorError
from face_app.edge.vision.detectors.haar import Haar
from support.clips import drawn, empty_frame


def haar(**changes):
    return Haar(settings.Detector(name="haar", **changes))


@pytest.mark.parametrize("image", [empty_frame(), np.zeros((1, 1, 3), np.uint8), np.zeros((2000, 9, 3), np.uint8)])
def test_finds_nothing_in_empty_frames(image):
    assert haar().detect(image) == []


def test_finds_two_faces_without_landmarks_and_confidence():
    found = haar().detect(drawn((200, 200, 50), (450, 250, 40), size=(640, 480)))
    assert sorted((each.box[0] + each.box[2]) / 2 for each in found) == pytest.approx([200, 450], abs=12)
    assert [(each.score, each.landmarks) for each in found] == [(1.0, ())] * 2


def test_ignores_small_faces():
    image = drawn((200, 200, 50), (450, 250, 40), size=(640, 480))
    (large,) = haar(min_face=115).detect(image)
    assert large.box[0] < 200 < large.box[2]


def test_raises_for_an_opencv_without_cascades(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(DetectorError, match="no Haar cascade: set"):
        haar()
