"""A crop is the face with its margin, never more than the frame, and decodes to what it was."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from face_app import settings
from face_app.edge.crop import cut, encode

FRAME = np.arange(100 * 200 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 200, 3)


def test_margin_on_each_side():
    crop = cut(FRAME, (50, 40, 90, 60), 0.25)
    assert np.array_equal(crop, FRAME[35:65, 40:100])


def test_margin_stops_at_the_frame():
    assert cut(FRAME, (0, 0, 40, 40), 0.5).shape == (60, 60, 3)
    assert cut(FRAME, (180, 80, 200, 100), 0.5).shape == (30, 30, 3)


@given(
    *[st.floats(-500, 500, width=32)] * 4,
    st.floats(0, 2),
)
def test_any_box_gives_a_picture_that_can_be_encoded(x1, y1, x2, y2, margin):
    box = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    crop = cut(FRAME, box, margin)
    assert crop.shape[0] >= 1
    assert crop.shape[1] >= 1
    assert encode(crop, settings.Crop()).data


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
