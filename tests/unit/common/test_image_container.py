"""A decoder gets the pixels alone."""

import io
import zlib

import pytest
from PIL import Image

from face_app.common.errors import MessageError
from face_app.common.image_container import MAX_EXIF_BYTES, MAX_SCANS, MAX_SEGMENTS, split_image
from fuzz.seeds import hidden_scans
from support.faces import drawn_face, picture

JPEG, PNG = picture(), picture("PNG")


def segment(marker, content):
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def chunk(name, content):
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


def progressive():
    file = io.BytesIO()
    Image.linear_gradient("L").save(file, "JPEG", progressive=True)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_bare_image_is_all_pixels(kind):
    assert split_image(picture(kind)).pixels.startswith(picture(kind)[:2])
    assert split_image(picture(kind)).exif == b""


@pytest.mark.parametrize(
    "payload",
    [
        drawn_face().payload,
        JPEG[:2] + segment(0xE2, b"ICC_PROFILE") + segment(0xFE, b"words") + b"\xff\xff" + JPEG[2:],
        PNG[:33] + chunk(b"zTXt", b"words") + chunk(b"acTL", b"") + chunk(b"iCCP", b"") + PNG[33:],
    ],
)
def test_the_rest_is_left_out_and_the_pixels_are_the_same(payload):
    parts = split_image(payload)
    assert len(parts.pixels) <= len(PNG if parts.suffix == "png" else JPEG)
    with Image.open(io.BytesIO(parts.pixels)) as image, Image.open(io.BytesIO(picture(image.format))) as drawn:
        assert image.tobytes() == drawn.tobytes()


def test_the_first_exif_block_counts():
    blocks = [segment(0xE1, content) for content in (b"http://xmp", b"Exif\x00\x00first", b"Exif\x00\x00second")]
    assert split_image(JPEG[:2] + b"".join(blocks) + JPEG[2:]).exif == b"first"
    chunks = chunk(b"eXIf", b"x" * (MAX_EXIF_BYTES + 1)) + chunk(b"eXIf", b"first") + chunk(b"eXIf", b"second")
    assert split_image(PNG[:33] + chunks + PNG[33:]).exif == b"first"


# Of 49 million pixels, each scan costs 40 ms and 75 bytes: 20 MB of them would occupy a worker for hours.
def test_a_scan_bomb_is_refused_before_anything_is_decoded():
    image = progressive()
    last = image.rfind(b"\xff\xda")
    assert split_image(image)
    with pytest.raises(MessageError, match="too-many-scans"):
        split_image(image[:-2] + image[last:-2] * MAX_SCANS + image[-2:])


# libjpeg steps over two bytes here. A parser that reads a length skips the scans that libjpeg decodes.
@pytest.mark.parametrize("marker", [0x00, 0x01, 0x02, 0xBF, *range(0xD0, 0xDA), 0xF0, 0xFD])
def test_scans_behind_a_marker_without_length_are_refused_before_anything_is_decoded(marker):
    with pytest.raises(MessageError, match=f"marker {marker:02X} at byte .* begins no segment"):
        split_image(hidden_scans(marker, 20, 16))


def test_scans_inside_a_segment_count():
    image = progressive()
    first = image.index(b"\xff\xda")
    table = segment(0xDB, b"\xff\xda" * (MAX_SCANS + 1))
    with pytest.raises(MessageError, match="too-many-scans"):
        split_image(image[:first] + table + image[first:])


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff\xd8",
        b"\xff\xd8\xff",
        JPEG[:300],
        JPEG[:2] + b"\x00" + JPEG[2:],
        JPEG[:2] + b"\xff\xe1\x00\x01" + JPEG[2:],
        JPEG[:2] + segment(0xFE, b"") * (MAX_SEGMENTS + 1) + JPEG[2:],
        JPEG.replace(b"\xff\xc0", b"\xff\xfe"),
        JPEG[:2] + segment(0xC0, b"\x08\x00\x08\x00\x08\x01\x01\x11\x00") + JPEG[2:],
        PNG[:8],
        PNG[:-12],
        PNG[:33] + PNG[8:],
        PNG[:8] + PNG[33:],
        PNG[:33] + chunk(b"tEXt", b"") * (MAX_SEGMENTS + 1) + PNG[33:],
        PNG[:33] + chunk(b"eXIf", b"Exif")[:-1] + b"\x00" + PNG[33:],
        b"GIF89a",
    ],
)
def test_refuses_incomplete_files(payload):
    with pytest.raises(MessageError) as refused:
        split_image(payload)
    assert refused.value.reason == "not-an-image"
