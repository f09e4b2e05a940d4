"""Only the requested tags are read."""

import struct
import time

import pytest
from PIL import ExifTags, Image

from face_app.common.image_container import read_exif

MAKE, UNIQUE = ExifTags.Base.Make, ExifTags.Base.ImageUniqueID


def block():
    exif = Image.Exif()
    exif[MAKE] = "jetson"
    exif[ExifTags.Base.Software] = "not asked for"
    exif.get_ifd(ExifTags.IFD.Exif)[UNIQUE] = "no"
    return exif.tobytes().removeprefix(b"Exif\x00\x00")


def directory(*entries, order="<"):
    body = struct.pack(f"{order}H", len(entries)) + b"".join(struct.pack(f"{order}HHII", *each) for each in entries)
    return (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(f"{order}I", 8) + body + bytes(4)


def test_both_directories_are_read():
    assert read_exif(block(), {MAKE, UNIQUE}) == {MAKE: b"jetson\x00", UNIQUE: b"no\x00"}


@pytest.mark.parametrize("order", "<>")
def test_both_byte_orders_are_read(order):
    assert read_exif(directory((MAKE, 2, 6, 26), order=order) + b"jetson", {MAKE}) == {MAKE: b"jetson"}


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"II*\x00",
        b"II+\x00\x08\x00\x00\x00" + bytes(100),
        b"II*\x00\xff\xff\xff\xff",
        b"II*\x00\x08\x00\x00\x00\xff\xff",
        directory((MAKE, 2, 2**32 - 1, 0)),
        directory((MAKE, 2, 100, 2**32 - 1)),
        directory((MAKE, 5, 1, 0)),
        directory((0x8769, 4, 1, 2**32 - 1)),
        directory((0x8769, 4, 1, 8)),
    ],
)
def test_nonsense_has_no_tags(bad):
    assert read_exif(bad, {MAKE, UNIQUE}) == {}


def test_whatever_is_cut_off_only_less_is_found():
    whole, asked = block(), {MAKE, UNIQUE}
    for length in range(len(whole)):
        assert read_exif(whole[:length], asked).items() <= read_exif(whole, asked).items()


def test_a_block_full_of_tags_costs_nothing():
    started = time.process_time()
    assert read_exif(directory(*[(MAKE + 1, 5, 8000, 8)] * 5400), {MAKE}) == {}
    assert time.process_time() - started < 1
