"""A crop is the face with its margin, never more than the frame, and decodes to what it was."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from face_app.common import settings
from face_app.edge.vision.crop import cut, encode

FRAME = np.arange(100 * 200 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 200, 3)


def margin(part):
    return settings.Crop(margin=part)


def test_margin_on_each_side():
    crop = cut(FRAME, (50, 40, 90, 60), margin(0.25))
    assert np.array_equal(crop, FRAME[35:65, 40:100])


def test_margin_stops_at_the_frame():
    assert cut(FRAME, (0, 0, 40, 40), margin(0.5)).shape == (60, 60, 3)
    assert cut(FRAME, (180, 80, 200, 100), margin(0.5)).shape == (30, 30, 3)


@pytest.mark.parametrize(("box", "shape"), [((0, 0, 200, 100), (32, 64)), ((0, 0, 50, 100), (64, 32))])
def test_a_large_crop_is_scaled_down_to_its_longest_side(box, shape):
    crop = cut(FRAME, box, settings.Crop(margin=0, longest=64))
    assert crop.shape == (*shape, 3)
    assert crop.mean() == pytest.approx(FRAME[:, : round(box[2])].mean(), abs=2)


def test_a_small_crop_is_never_scaled_up():
    assert cut(FRAME, (10, 10, 20, 20), settings.Crop(margin=0, longest=64)).shape == (10, 10, 3)


@given(
    st.tuples(*[st.floats(-500, 500, width=32)] * 4),
    st.floats(0, 2),
    st.integers(32, 400),
)
def test_any_box_gives_a_picture_that_can_be_encoded(corners, part, longest):
    x1, y1, x2, y2 = corners
    crop = settings.Crop(margin=part, longest=longest)
    image = cut(FRAME, (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), crop)
    assert 1 <= min(image.shape[:2]) <= max(image.shape[:2]) <= longest
    assert encode(image, crop).data


def test_a_frame_of_one_pixel():
    assert cut(FRAME[:1, :1], (0, 0, 1, 1), settings.Crop()).shape == (1, 1, 3)


@pytest.mark.parametrize(("kind", "suffix", "name"), [("jpeg", "jpg", "JPEG"), ("png", "png", "PNG")])
def test_encoding(kind, suffix, name):
    frame = cv2.resize(FRAME[:4, :4], (64, 48), interpolation=cv2.INTER_LINEAR)
    encoded = encode(frame, settings.Crop(format=kind))
    assert encoded.suffix == suffix
    with Image.open(io.BytesIO(encoded.data)) as image:
        assert (image.format, image.size, image.mode) == (name, (64, 48), "RGB")
        error = np.abs(np.asarray(image).astype(int) - frame[:, :, ::-1]).mean()
    assert error == 0 if kind == "png" else error < 20


def test_quality_matters():
    frame = cv2.resize(FRAME[:40, :40], (200, 200))
    assert len(encode(frame, settings.Crop(quality=30)).data) < len(encode(frame, settings.Crop(quality=95)).data)
