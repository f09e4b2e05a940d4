"""Pictures of formats that OpenCV or FFmpeg support in part are whole and upright, or refused with the reason."""

import io
import struct
import threading

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from face_app.common import settings
from face_app.common.errors import SourceError
from face_app.edge.image import set_up_opencv
from face_app.edge.sources.open_source import open_source

set_up_opencv()

SCENE = np.zeros((48, 80, 3), np.uint8)
"""RGB; each corner has its own colour."""
SCENE[:24, :40], SCENE[:24, 40:], SCENE[24:, :40], SCENE[24:, 40:] = (
    (220, 40, 40),
    (40, 200, 40),
    (40, 60, 230),
    (90, 90, 90),
)
PICTURE = Image.fromarray(SCENE)
TOLERANCE = 12
"""Maximum mean difference to the scene, of 255: lossy formats and conversions of colour."""


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def tiff(values):
    return cv2.imencode(".tiff", values)[1].tobytes()


def read(tmp_path, suffix, data):
    path = tmp_path / f"picture.{suffix}"
    path.write_bytes(data)
    with open_source(settings.Camera(source=str(path), pace="fast"), threading.Event()) as source:
        (frame,) = source
    return frame.image


def assert_scene(image, expected=SCENE):
    assert image.shape == expected.shape
    assert image.dtype == np.uint8
    assert np.abs(image[..., ::-1].astype(int) - expected).mean() < TOLERANCE


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("compression", [None, "jpeg", "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_upright(tmp_path, orientation, compression, order):
    options = {"compression": compression} if compression else {}
    data = saved(PICTURE, "TIFF", tiffinfo={274: orientation}, **options)
    if order == "MM" and not compression:
        turned = Image.open(io.BytesIO(data))
        header = io.BytesIO()
        turned.save(header, format="TIFF", big_endian=True, tiffinfo={274: orientation})
        data = header.getvalue()
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert_scene(read(tmp_path, "tif", data), expected)


def sixteen(bits):
    return (SCENE[..., ::-1].astype(np.uint16) << (bits - 8)).copy()


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_few_bits_in_sixteen_are_bright(tmp_path, suffix, bits):
    data = cv2.imencode(f".{suffix}", sixteen(bits))[1].tobytes()
    assert_scene(read(tmp_path, suffix, data))


@pytest.mark.parametrize("scale", [1, 255])
def test_a_float_tiff_is_scaled(tmp_path, scale):
    values = SCENE[..., ::-1].astype(np.float32) / 255 * scale
    assert_scene(read(tmp_path, "tiff", tiff(values)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -5, 70000])
def test_a_float_tiff_without_a_known_scale_is_refused(tmp_path, value):
    values = np.full((48, 64, 3), 0.5, np.float32)
    values[0, 0] = value
    with pytest.raises(SourceError, match="float32 values that are not brightness; convert it"):
        read(tmp_path, "tiff", tiff(values))


MORE = {"save_all": True, "append_images": [PICTURE.transpose(Image.Transpose.ROTATE_180)]}
FORMATS = {
    "pages": ("tiff", saved(PICTURE, "TIFF", **MORE)),
    "tiff-cmyk": ("tiff", saved(PICTURE.convert("CMYK"), "TIFF")),
    "tiff-palette": ("tiff", saved(PICTURE.quantize(32), "TIFF")),
    "tiff-ycbcr": ("tiff", saved(PICTURE.convert("YCbCr"), "TIFF")),
    "jpeg-cmyk": ("jpg", saved(PICTURE.convert("CMYK"), "JPEG")),
    "png-palette": ("png", saved(PICTURE.quantize(32), "PNG", transparency=0)),
    "png-animated": ("png", saved(PICTURE, "PNG", **MORE)),
    "webp-animated": ("webp", saved(PICTURE, "WEBP", **MORE)),
    "avif": ("avif", saved(PICTURE, "AVIF")),
    "avif-animated": ("avif", saved(PICTURE, "AVIF", **MORE)),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_picture_is_whole(tmp_path, name):
    assert_scene(read(tmp_path, *FORMATS[name]))


def box(kind, *parts):
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


@pytest.mark.parametrize("part", [b"grid", b"iovl", b"irot", b"imir", b"clap"])
@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"heix"])
def test_a_picture_of_tiles_is_refused(tmp_path, brand, part):
    data = box(b"ftyp", brand, bytes(4), b"mif1heic") + box(b"meta", bytes(4), box(b"iinf", part)) + bytes(999)
    with pytest.raises(SourceError, match="made of tiles, turned or cropped, of which"):
        read(tmp_path, "heic", data)


@pytest.mark.parametrize("suffix", ["jp2", "jxl", "jpg"])
def test_a_format_that_is_not_supported_is_refused(tmp_path, suffix):
    codestream = b"\xff\x0a" + bytes(range(200))  # JPEG XL
    with pytest.raises(SourceError, match="be decoded"):
        read(tmp_path, suffix, codestream)
