"""Split JPEG and PNG files into pixels and EXIF, without decoding.

Profiles, thumbnails, texts and animations in a file reach decoder code that an attacker can target. So the decoder
receives the pixels only. The store receives the original bytes.
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
"""Most segments or chunks. OpenCV writes a PNG chunk per 8 kB, so the largest message has 2,500."""
MOST_SCANS = 64
"""Most scans of a JPEG. A progressive one has 10. Each costs a pass over all pixels, for a hundred bytes."""
MOST_EXIF = 65_535
"""Most bytes of EXIF: the size limit of a JPEG segment, applied to PNG too."""

_FILL = re.compile(rb"\xff+")
_START_OF_SCAN = 0xDA
_APP1 = 0xE1
# Application segments and comments without pixel data; JFIF (0xE0) and Adobe (0xEE) define the colours.
_METADATA = {*range(0xE1, 0xEE), 0xEF, 0xFE}
_START_OF_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PNG_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


@dataclass(frozen=True)
class ImageParts:
    """Parts of an image file.

    Attributes:
        suffix: ``jpg`` or ``png``.
        pixels: The file reduced to the parts that a decoder needs.
        exif: TIFF structure of its first EXIF block; empty without one, or over the size limit.
    """

    suffix: str
    pixels: bytes
    exif: bytes


def split_image(payload: bytes) -> ImageParts:
    """Split a JPEG or PNG without decoding it.

    Raises:
        MessageError: ``not-an-image``, or ``too-many-scans``.
    """
    if payload.startswith(PNG):
        return _png(payload)
    if payload.startswith(JPEG):
        return _jpeg(payload)
    raise MessageError("not-an-image", "neither JPEG nor PNG")


def _jpeg(payload: bytes) -> ImageParts:
    parts, exif, frames, at = [JPEG], b"", 0, len(JPEG)
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
        if marker not in _METADATA:
            parts.append(payload[fill.end() - 1 : end])
        frames += marker in _START_OF_FRAME
        at = end
    else:
        raise MessageError("not-an-image", f"more than {MOST_PARTS} JPEG segments")
    if frames != 1:
        raise MessageError("not-an-image", f"{frames} JPEG frames")
    scans = payload.count(b"\xff\xda", at)
    if scans > MOST_SCANS:
        raise MessageError("too-many-scans", f"{scans} JPEG scans > {MOST_SCANS}")
    return ImageParts("jpg", b"".join((*parts, payload[at:])), exif)


def _png(payload: bytes) -> ImageParts:
    parts, exif, at, name = [PNG], b"", len(PNG), b""
    for number in range(MOST_PARTS):
        name, start = payload[at + 4 : at + 8], at + 8
        end = start + int.from_bytes(payload[at : at + 4], "big")
        if end + 4 > len(payload):
            raise MessageError("not-an-image", f"the PNG chunk at byte {at} has no end")
        if (name == b"IHDR") != (number == 0):
            raise MessageError("not-an-image", f"the PNG chunk at byte {at} is out of place")
        if name in _PNG_PIXELS:
            parts.append(payload[at : end + 4])
        elif name == b"eXIf" and not exif and end - start <= MOST_EXIF:
            exif = payload[start:end]
            if zlib.crc32(payload[at + 4 : end]) != int.from_bytes(payload[end : end + 4], "big"):
                raise MessageError("not-an-image", f"the PNG chunk at byte {at} is damaged")
        at = end + 4
        if name == b"IEND":
            return ImageParts("png", b"".join(parts), exif)
    raise MessageError("not-an-image", f"more than {MOST_PARTS} PNG chunks")


_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}
_EXIF_DIRECTORY = 0x8769  # tag in the first directory: offset of the EXIF directory
_POINTERS = {4, 13}  # LONG, IFD
_BYTES = {1, 2, 7}  # BYTE, ASCII, UNDEFINED


def read_exif(block: bytes, tags: Collection[int]) -> dict[int, bytes]:
    """Read tags from the first directory and the EXIF directory.

    Args:
        block: TIFF structure.
        tags: Tag numbers. Absent tags, and values that are not bytes, are omitted.
    """
    found: dict[int, bytes] = {}
    order = _ORDERS.get(block[:4])
    if order:
        # A truncated block ends the parser; tags found before are returned.
        with suppress(struct.error):
            (first,) = struct.unpack_from(f"{order}I", block, 4)
            exif_at = _read_directory(block, order, first, tags, found)
            if exif_at:
                _read_directory(block, order, exif_at, tags, found)
    return found


def _read_directory(block: bytes, order: str, at: int, tags: Collection[int], found: dict[int, bytes]) -> int:
    """Add the tags of one directory to `found`; return the offset of the EXIF directory, or 0."""
    exif_at = 0
    (entries,) = struct.unpack_from(f"{order}H", block, at)
    for entry in range(at + 2, at + 2 + 12 * entries, 12):
        tag, kind, count, offset = struct.unpack_from(f"{order}HHII", block, entry)
        if tag == _EXIF_DIRECTORY and kind in _POINTERS:
            exif_at = offset
        elif tag in tags and tag not in found and kind in _BYTES:
            start = entry + 8 if count <= 4 else offset
            if start + count <= len(block):
                found[tag] = block[start : start + count]
    return exif_at
