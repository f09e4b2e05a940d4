"""An image is refused if and only if a decode at its full size fails."""

import io
from collections.abc import Iterator
from random import Random

import pytest
from PIL import Image

from face_app.common.errors import MessageError
from face_app.common.metadata import decoded_size
from fuzz.mutate import mutated

ENCODINGS = {
    "grey": ("L", {}),
    "colour": ("RGB", {"quality": 90}),
    "full chroma": ("RGB", {"subsampling": 0, "optimize": True}),
    "progressive": ("RGB", {"progressive": True}),
    "restarts": ("RGB", {"restart_marker_rows": 1}),
    "four components": ("CMYK", {}),
}
MAX_PIXELS = 1_000_000
SIZES = ((160, 200), (97, 61), (7, 5))


def encoded(mode: str, size: tuple[int, int], **options) -> bytes:
    file = io.BytesIO()
    tile = Image.frombytes("RGB", (40, 40), Random(1).randbytes(4800))
    tile.resize(size, Image.Resampling.BICUBIC).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def damaged(image: bytes, random: Random) -> Iterator[bytes]:
    yield from (image[:-count] for count in range(1, 60))
    for _ in range(20):
        at = random.randrange(len(image))
        yield image[:at]
        yield image[:at] + bytes((image[at] ^ 1 << random.randrange(8),)) + image[at + 1 :]
        yield image[:at] + image[at + random.randrange(64) :]
        yield image[:at] + bytes(16) + image[at + 16 :]
        yield mutated(image, image, random)


def full_size(pixels: bytes) -> tuple[int, int] | None:
    try:
        with Image.open(io.BytesIO(pixels), formats=("JPEG", "PNG")) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            image.load()
            return image.size
    except Exception:  # noqa: BLE001 - each one refuses the image
        return None


def size(pixels: bytes) -> tuple[int, int] | None:
    try:
        return decoded_size(pixels, MAX_PIXELS, 1)
    except MessageError:
        return None


@pytest.mark.parametrize("name", ENCODINGS)
def test_the_verdict_is_that_of_a_full_decode(name):
    mode, options = ENCODINGS[name]
    verdicts = set()
    for shape in SIZES:
        image = encoded(mode, shape, **options)
        assert size(image) == shape
        for pixels in damaged(image, Random(name)):
            verdicts.add(full_size(pixels) is None)
            assert size(pixels) == full_size(pixels)
    assert verdicts == {True, False}, "some damage is visible to a decoder, and some is not"
