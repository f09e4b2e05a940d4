"""Frames get square pixels, in files and in streams."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from face_app.edge.image import set_up_opencv
from face_app.edge.sources.decoder import OpenCVCapture, open_ffmpeg, square_pixels
from support.clips import drawn

set_up_opencv()

SIZE = (640, 480)
UPRIGHT = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
TURNED = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
"""Matrices in the header of an MP4 track."""


def write_anamorphic(path, stored, aspect):
    """Write a drawn face of `SIZE`, squashed to the stored size."""
    scene = cv2.resize(drawn((320, 240, 90), size=SIZE), stored, interpolation=cv2.INTER_AREA)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = *stored, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        stream.bit_rate = 8_000_000
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(scene, "bgr24")))
        container.mux(stream.encode(None))
    return path


def first_frame(path):
    capture = OpenCVCapture(open_ffmpeg(str(path)))
    assert capture.grab()
    image = capture.retrieve()
    capture.release()
    return image


@pytest.mark.parametrize(
    ("stored", "aspect"),
    [((320, 480), Fraction(2)), ((640, 240), Fraction(1, 2)), ((440, 480), Fraction(16, 11)), (SIZE, Fraction(1))],
)
def test_makes_pixels_square(tmp_path, stored, aspect):
    image = first_frame(write_anamorphic(tmp_path / "clip.mp4", stored, aspect))
    assert image.shape[1::-1] == SIZE
    assert cv2.absdiff(image, drawn((320, 240, 90), size=SIZE)).mean() < 5


def test_makes_pixels_square_in_a_turned_video(tmp_path):
    """OpenCV turns the picture by the matrix in the header, so the shape of its pixels must turn too."""
    path = write_anamorphic(tmp_path / "clip.mp4", (320, 480), Fraction(2))
    before, header, after = path.read_bytes().partition(b"tkhd")
    assert UPRIGHT in after[:100]
    path.write_bytes(before + header + after.replace(UPRIGHT, TURNED, 1))
    image = first_frame(path)
    assert image.shape[:2] == SIZE
    upright = drawn((320, 240, 90), size=SIZE)
    codes = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE)
    assert min(cv2.absdiff(image, cv2.rotate(upright, code)).mean() for code in codes) < 5


@pytest.mark.parametrize("aspect", [Fraction(255), Fraction(1, 255), Fraction(101, 100)])
def test_ignores_an_implausible_or_a_nearly_square_pixel(tmp_path, aspect):
    assert first_frame(write_anamorphic(tmp_path / "clip.mp4", (320, 240), aspect)).shape == (240, 320, 3)


@pytest.mark.parametrize("shape", [(10, 20), (10, 20, 1), (10, 20, 3), (10, 20, 4)])
def test_accepts_any_number_of_channels(shape):
    assert square_pixels(np.zeros(shape, np.uint8), 2.0).shape[:2] == (10, 40)
    assert square_pixels(np.zeros(shape, np.uint8), 0.5).shape[:2] == (20, 20)


@pytest.mark.parametrize("aspect", [float("nan"), float("inf"), 0.0, -2.0])
def test_ignores_an_aspect_that_is_no_ratio(aspect):
    assert square_pixels(np.zeros((10, 20, 3), np.uint8), aspect).shape == (10, 20, 3)
