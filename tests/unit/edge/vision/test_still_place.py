"""The picture at one place is compared with the first one there."""

import cv2
import numpy as np
import pytest

from face_app.edge.vision.still_place import StillPlace

RANDOM = np.random.default_rng(1)
IMAGE = cv2.resize(RANDOM.integers(0, 256, (15, 20, 3), np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
BOX = (100.4, 80.0, 150.0, 139.6)


def correlation(image, box=BOX):
    place = StillPlace(IMAGE, box)
    place.compare(image)
    return place.correlation


def test_the_same_picture_correlates_fully():
    assert correlation(IMAGE) == pytest.approx(1, abs=1e-3)


def test_light_and_noise_change_little():
    noise = RANDOM.normal(0, 3, IMAGE.shape)
    assert correlation(np.clip(IMAGE * 0.6 + 20 + noise, 0, 255).astype(np.uint8)) > 0.9


def test_another_picture_correlates_little():
    assert correlation(np.roll(IMAGE, 80, axis=1)) < 0.5


def test_the_lowest_correlation_counts():
    place = StillPlace(IMAGE, BOX)
    for image in (IMAGE, np.roll(IMAGE, 80, axis=1), IMAGE):
        place.compare(image)
    assert place.correlation < 0.5


@pytest.mark.parametrize("box", [(-30, -30, 40, 40), (300, 200, 400, 300)])
def test_a_place_at_the_border_is_compared_as_far_as_it_is_visible(box):
    assert correlation(IMAGE, box) == pytest.approx(1, abs=1e-3)


def test_a_place_outside_the_frame_never_counts_as_still():
    assert correlation(IMAGE, (400, 20, 450, 80)) == 0
