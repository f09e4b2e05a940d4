"""Encoded pictures decode to the original picture."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from face_app.common import settings
from face_app.edge.vision.encode import encode_image

FRAME = np.arange(100 * 200 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 200, 3)


@pytest.mark.parametrize(("kind", "suffix", "name"), [("jpeg", "jpg", "JPEG"), ("png", "png", "PNG")])
def test_encodes_in_both_formats(kind, suffix, name):
    frame = cv2.resize(FRAME[:4, :4], (64, 48), interpolation=cv2.INTER_LINEAR)
    encoded = encode_image(frame, settings.Crop(format=kind))
    assert encoded.suffix == suffix
    with Image.open(io.BytesIO(encoded.data)) as image:
        assert (image.format, image.size, image.mode) == (name, (64, 48), "RGB")
        error = np.abs(np.asarray(image).astype(int) - frame[:, :, ::-1]).mean()
    assert error == 0 if kind == "png" else error < 20


def test_a_lower_quality_makes_a_smaller_file():
    frame = cv2.resize(FRAME[:40, :40], (200, 200))
    small, large = (encode_image(frame, settings.Crop(quality=quality)) for quality in (30, 95))
    assert len(small.data) < len(large.data)
