"""What of an image file a decoder needs, and the EXIF block beside it.

Whoever sends an image also sends profiles, thumbnails, texts and animations, and every one of them is code of the
decoder that a stranger can reach. So it gets the pixels alone. The bytes that are kept are still those that came.
"""

import re
import struct
import zlib
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from face_app.common.errors import MessageError

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
EXIF = b"Exif\x00\x00"

MOST_PARTS = 10_000
"""Segments or chunks. OpenCV's PNGs have one for every 8 kB, our largest message 2,500 of them."""
MOST_SCANS = 64
"""Of a JPEG. A progressive one has 10; each costs a pass over all its pixels, and a hundred bytes can make one."""
MOST_EXIF = 65_535
"""Bytes. A segment of a JPEG holds no more; a chunk of a PNG could."""

_FILL = re.compile(rb"\xff+")
_START_OF_SCAN = 0xDA
_APP1 = 0xE1
# Other application segments and comments say nothing about pixels; JFIF (0xE0) and Adobe (0xEE) tell the colours.
_BESIDE = {*range(0xE1, 0xEE), 0xEF, 0xFE}
_START_OF_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PNG_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


@dataclass(frozen=True)
class ImageParts:
    """An image file, taken apart.

    Attributes:
        suffix: ``jpg`` or ``png``.
        pixels: The file without everything that is not needed to decode it.
        exif: The TIFF structure of its first EXIF block; empty where it has none, or one that is too large.
    """

    suffix: str
    pixels: bytes
    exif: bytes


def take_apart(payload: bytes) -> ImageParts:
    """Take a JPEG or PNG apart; nothing is decoded.

    Raises:
        MessageError: ``not-an-image``, or ``too-many-scans``.
    """
    if payload.startswith(PNG):
        return _png(payload)
    if payload.startswith(JPEG):
        return _jpeg(payload)
    raise MessageError("not-an-image", "neither JPEG nor PNG")


def _jpeg(payload: bytes) -> ImageParts:
    kept, exif, frames, at = [JPEG], b"", 0, len(JPEG)
    for _ in range(MOST_PARTS):
        fill = _FILL.match(payload, at)
        if not fill or fill.end() + 3 > len(payload):
            raise MessageError("not-an-image", f"no JPEG segment at byte {at}")
        marker, start = payload[fill.end()], fill.end() + 1
        if marker == _START_OF_SCAN:
            break
        end = start + int.from_bytes(payload[start : start + 2], "big")
        if end > len(payload) or end < start + 2:
            raise MessageError("not-an-image", f"the JPEG segment at byte {at} has no end")
        content = payload[start + 2 : end]
        if marker == _APP1 and not exif and content.startswith(EXIF):
            exif = content[len(EXIF) :]
        if marker not in _BESIDE:
            kept.append(payload[fill.end() - 1 : end])
        frames += marker in _START_OF_FRAME
        at = end
    else:
        raise MessageError("not-an-image", f"more than {MOST_PARTS} JPEG segments")
    if frames != 1:
        raise MessageError("not-an-image", f"{frames} JPEG frames")
    scans = payload.count(b"\xff\xda", at)
    if scans > MOST_SCANS:
        raise MessageError("too-many-scans", f"{scans} JPEG scans > {MOST_SCANS}")
    return ImageParts("jpg", b"".join((*kept, payload[at:])), exif)


def _png(payload: bytes) -> ImageParts:
    kept, exif, at, name = [PNG], b"", len(PNG), b""
    for number in range(MOST_PARTS):
        name, start = payload[at + 4 : at + 8], at + 8
        end = start + int.from_bytes(payload[at : at + 4], "big")
        if end + 4 > len(payload):
            raise MessageError("not-an-image", f"the PNG chunk at byte {at} has no end")
        if (name == b"IHDR") != (number == 0):
            raise MessageError("not-an-image", f"the PNG chunk at byte {at} is out of place")
        if name in _PNG_PIXELS:
            kept.append(payload[at : end + 4])
        elif name == b"eXIf" and not exif and end - start <= MOST_EXIF:
            exif = payload[start:end]
            if zlib.crc32(payload[at + 4 : end]) != int.from_bytes(payload[end : end + 4], "big"):
                raise MessageError("not-an-image", f"the PNG chunk at byte {at} is damaged")
        at = end + 4
        if name == b"IEND":
            return ImageParts("png", b"".join(kept), exif)
    raise MessageError("not-an-image", f"more than {MOST_PARTS} PNG chunks")


_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}
_DETAIL = 0x8769  # in the first directory, where the one with the details of the picture is
_POINTERS = {4, 13}  # LONG, IFD
_BYTES = {1, 2, 7}  # BYTE, ASCII, UNDEFINED


def read_exif(block: bytes, tags: Collection[int]) -> dict[int, bytes]:
    """Read tags from the first directory and the one with the details.

    Args:
        block: A TIFF structure.
        tags: Which; those that are not there, or are no bytes, are left out.
    """
    found: dict[int, bytes] = {}
    order = _ORDERS.get(block[:4])
    if order:
        # What is cut short ends the reading; what was found until then is there.
        with suppress(struct.error):
            (first,) = struct.unpack_from(f"{order}I", block, 4)
            detail = _read_directory(block, order, first, tags, found)
            if detail:
                _read_directory(block, order, detail, tags, found)
    return found


def _read_directory(block: bytes, order: str, at: int, tags: Collection[int], found: dict[int, bytes]) -> int:
    """Add to `found` what this directory has; returns where the one with the details is, or 0."""
    detail = 0
    (entries,) = struct.unpack_from(f"{order}H", block, at)
    for entry in range(at + 2, at + 2 + 12 * entries, 12):
        tag, kind, count, offset = struct.unpack_from(f"{order}HHII", block, entry)
        if tag == _DETAIL and kind in _POINTERS:
            detail = offset
        elif tag in tags and tag not in found and kind in _BYTES:
            start = entry + 8 if count <= 4 else offset
            if start + count <= len(block):
                found[tag] = block[start : start + count]
    return detail
