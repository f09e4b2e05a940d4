"""A source that repeats one picture is frozen; noise or the least movement is not."""

import numpy as np
import pytest

from face_app.edge.sources.frozen import FROZEN_SECONDS, FrozenPictureCheck

MOMENTS = np.arange(0, FROZEN_SECONDS + 10, 5.0)


def picture():
    return np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def test_measures_a_repeated_picture_and_logs_once(caplog):
    check = FrozenPictureCheck("camera")
    assert [check.seconds_unchanged(picture(), moment) for moment in MOMENTS] == MOMENTS.tolist()
    assert caplog.text.count("camera: the picture has not changed for 65 s") == 1
    assert check.seconds_unchanged(picture() + np.uint8(1), 1000.0) == 0
    assert check.seconds_unchanged(picture() + np.uint8(1), 1003.0) == 3


@pytest.mark.parametrize("pixel", [(0, 0), (3, 5)], ids=["in the sample", "outside the sample"])
def test_the_least_movement_counts(pixel):
    check = FrozenPictureCheck("camera")
    image = picture()
    for number, moment in enumerate(MOMENTS):
        image[pixel] = number
        unchanged = check.seconds_unchanged(image, moment)
    assert unchanged <= 5
