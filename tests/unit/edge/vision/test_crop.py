"""A crop is the face with its margin, clamped to the frame."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from face_app.common import settings
from face_app.edge.vision.crop import crop_face
from face_app.edge.vision.encode import encode_image

FRAME = np.arange(100 * 200 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 200, 3)


def margin(part):
    return settings.Crop(margin=part)


def test_adds_the_margin_on_each_side():
    crop = crop_face(FRAME, (50, 40, 90, 60), margin(0.25))
    assert np.array_equal(crop, FRAME[35:65, 40:100])


def test_the_margin_ends_at_the_border():
    assert crop_face(FRAME, (0, 0, 40, 40), margin(0.5)).shape == (60, 60, 3)
    assert crop_face(FRAME, (180, 80, 200, 100), margin(0.5)).shape == (30, 30, 3)


@pytest.mark.parametrize(("box", "shape"), [((0, 0, 200, 100), (32, 64)), ((0, 0, 50, 100), (64, 32))])
def test_scales_a_large_crop_down_to_the_longest_side(box, shape):
    crop = crop_face(FRAME, box, settings.Crop(margin=0, longest=64))
    assert crop.shape == (*shape, 3)
    assert crop.mean() == pytest.approx(FRAME[:, : round(box[2])].mean(), abs=2)


def test_never_enlarges_a_small_crop():
    assert crop_face(FRAME, (10, 10, 20, 20), settings.Crop(margin=0, longest=64)).shape == (10, 10, 3)


@given(
    st.tuples(*[st.floats(-500, 500, width=32)] * 4),
    st.floats(0, 2),
    st.integers(32, 400),
)
def test_any_box_yields_a_picture_that_can_be_encoded(corners, part, longest):
    x1, y1, x2, y2 = corners
    crop = settings.Crop(margin=part, longest=longest)
    image = crop_face(FRAME, (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), crop)
    assert 1 <= min(image.shape[:2]) <= max(image.shape[:2]) <= longest
    assert encode_image(image, crop).data


def test_accepts_a_frame_of_one_pixel():
    assert crop_face(FRAME[:1, :1], (0, 0, 1, 1), settings.Crop()).shape == (1, 1, 3)
