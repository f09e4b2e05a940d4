"""Dark and noisy pictures are enhanced; other pictures are not touched."""

import numpy as np
import pytest

from face_app.edge.vision.enhance import DAYLIGHT, NOISY, Light, enhance, is_dark, measure_light, noise, raise_contrast
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


def noisy(image, level):
    return np.clip(image + np.random.default_rng(1).normal(0, level, image.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("level", [0.5, 5, 20])
def test_estimates_the_noise(level):
    """The mean of three channels has less noise than each."""
    measured = noise(noisy(drawn((320, 180, 80), size=(640, 360)), level))
    assert measured == pytest.approx(0.67 * level, rel=0.3, abs=0.3)


def test_a_pattern_is_no_noise():
    stripes = np.zeros((360, 640, 3), np.uint8)
    stripes[:, ::40] = 255
    assert noise(stripes) < NOISY


def test_a_normal_picture_is_returned_as_it_is():
    picture = drawn((160, 120, 40), size=(640, 360))
    assert measure_light(picture) == DAYLIGHT
    assert enhance(picture, DAYLIGHT) is picture


def test_smooths_a_noisy_picture():
    picture = noisy(drawn((160, 120, 40), size=(640, 360)), 20)
    light = measure_light(picture)
    assert light == Light(noisy=True)
    assert noise(enhance(picture, light)) < noise(picture) / 2


@pytest.mark.parametrize("size", [(1, 1), (2, 700), (70, 70), (3000, 40)])
def test_measures_pictures_of_any_size(size):
    assert measure_light(np.full((*size, 3), 120, np.uint8)) == DAYLIGHT
