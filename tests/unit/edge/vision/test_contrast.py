"""The contrast of dark pictures is raised; other pictures are not touched."""

import numpy as np

from face_app.edge.vision.contrast import is_dark, raise_contrast
from support.clips import drawn, empty_frame


def darkened(image, share):
    return (image * share).astype(np.uint8)


def test_a_normal_picture_is_not_dark():
    assert not is_dark(drawn((160, 120, 40)))


def test_a_night_picture_with_a_lamp_is_dark():
    night = darkened(empty_frame(), 0.1)
    night[:40, :40] = 255
    assert is_dark(night)


def test_raises_the_contrast_of_a_dark_face():
    dark = darkened(drawn((160, 120, 40)), 0.1)
    raised = raise_contrast(dark)
    assert raised.shape == dark.shape
    assert raised.std() > dark.std()


def test_accepts_pictures_of_any_size():
    for size in ((1, 1), (2, 700), (33, 17)):
        assert raise_contrast(np.zeros((*size, 3), np.uint8)).shape == (*size, 3)
        assert is_dark(np.zeros((*size, 3), np.uint8))
