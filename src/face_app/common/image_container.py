"""Split JPEG and PNG files into pixels and EXIF, without decoding.

Metadata and animations exercise decoder code that attackers target, so the decoder receives only the pixels. The store
receives the original bytes.
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

MAX_SEGMENTS = 10_000
"""Maximum number of JPEG segments or PNG chunks. OpenCV writes one PNG chunk per 8 kB, so the largest allowed message
(20 MB) has 2,500 chunks."""
MAX_SCANS = 64
"""Maximum number of scans of a JPEG; a progressive one has 10. A scan of a hundred bytes costs the decoder a pass over
all pixels."""
MAX_EXIF_BYTES = 65_535
"""Maximum bytes of EXIF: the size limit of a JPEG segment, applied to PNG too."""

_FILL = re.compile(rb"\xff+")
_START_OF_SCAN = 0xDA
_APP1 = 0xE1
# Application segments and comments without pixel data; JFIF (0xE0) and Adobe (0xEE) define the colours.
_METADATA = {*range(0xE1, 0xEE), 0xEF, 0xFE}
# Baseline, extended and progressive Huffman coding: what cameras and encoders write. Lossless, hierarchical and
# arithmetic coding run decoder code that no camera needs, and arithmetic coding costs several times the CPU.
_START_OF_FRAME = {0xC0, 0xC1, 0xC2}
_OTHER_FRAMES = set(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Markers with a length (ITU-T T.81, table B.1). Decoders step over others, such as TEM and RST, without one: a length
# read there would let scans hide in the segment.
_SEGMENT_MARKERS = {*range(0xC0, 0xD0), *range(0xDB, 0xF0), 0xFE}
_PNG_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


@dataclass(frozen=True)
class ImageParts:
    """Contains the parts of an image file.

    Attributes:
        suffix: ``jpg`` or ``png``.
        pixels: The file reduced to the parts that a decoder needs.
        exif: TIFF structure of the first EXIF block; empty if there is none, or if it exceeds `MAX_EXIF_BYTES`.
        scans: Number of passes over the pixels that the file asks of a decoder, at least.
    """

    suffix: str
    pixels: bytes
    exif: bytes
    scans: int = 1


def split_image(payload: bytes) -> ImageParts:
    """Split a JPEG or PNG without decoding it.

    Raises:
        MessageError: ``not-an-image``, or ``too-many-scans``.
    """
    if payload.startswith(PNG):
        return _split_png(payload)
    if payload.startswith(JPEG):
        return _split_jpeg(payload)
    raise MessageError("not-an-image", "neither JPEG nor PNG")


def _split_jpeg(payload: bytes) -> ImageParts:
    parts = [JPEG]
    exif = b""
    frames = 0
    offset = len(JPEG)
    for _ in range(MAX_SEGMENTS):
        fill = _FILL.match(payload, offset)
        if not fill or fill.end() + 3 > len(payload):
            raise MessageError("not-an-image", f"no JPEG segment at byte {offset}")
        marker = payload[fill.end()]
        if marker == _START_OF_SCAN:
            break
        if marker not in _SEGMENT_MARKERS:
            raise MessageError("not-an-image", f"the JPEG marker {marker:02X} at byte {offset} begins no segment")
        if marker in _OTHER_FRAMES:
            raise MessageError("not-an-image", f"the JPEG coding {marker:02X} is not supported; send Huffman coding")
        start = fill.end() + 1
        end = start + int.from_bytes(payload[start : start + 2], "big")
        if end > len(payload) or end < start + 2:
            raise MessageError("not-an-image", f"the JPEG segment at byte {offset} is truncated")
        content = payload[start + 2 : end]
        if marker == _APP1 and not exif and content.startswith(EXIF):
            exif = content[len(EXIF) :]
        if marker not in _METADATA:
            parts.append(payload[fill.end() - 1 : end])
        if marker in _START_OF_FRAME:
            frames += 1
        offset = end
    else:  # the loop ended without `break`: no scan was found
        raise MessageError("not-an-image", f"more than {MAX_SEGMENTS} JPEG segments")
    if frames != 1:
        raise MessageError("not-an-image", f"expected one JPEG frame, found {frames}")
    # Byte stuffing leaves no FF DA in entropy data. The segments count too: a decoder may read them as scans.
    scans = payload.count(b"\xff\xda", offset) + sum(part.count(b"\xff\xda") for part in parts)
    if scans > MAX_SCANS:
        raise MessageError("too-many-scans", f"{scans} JPEG scans > {MAX_SCANS}")
    return ImageParts("jpg", b"".join((*parts, payload[offset:])), exif, scans)


def _split_png(payload: bytes) -> ImageParts:
    parts = [PNG]
    exif = b""
    offset = len(PNG)
    for number in range(MAX_SEGMENTS):
        name = payload[offset + 4 : offset + 8]
        start = offset + 8
        end = start + int.from_bytes(payload[offset : offset + 4], "big")  # a checksum of 4 bytes follows
        if end + 4 > len(payload):
            raise MessageError("not-an-image", f"the PNG chunk at byte {offset} is truncated")
        # IHDR must be first, and only first.
        if (name == b"IHDR") != (number == 0):
            raise MessageError("not-an-image", f"the PNG chunk at byte {offset} is out of place")
        if name in _PNG_PIXELS:
            parts.append(payload[offset : end + 4])
        elif name == b"eXIf" and not exif and end - start <= MAX_EXIF_BYTES:
            exif = payload[start:end]
            if zlib.crc32(payload[offset + 4 : end]) != int.from_bytes(payload[end : end + 4], "big"):
                raise MessageError("not-an-image", f"the PNG chunk at byte {offset} is damaged")
        offset = end + 4
        if name == b"IEND":
            return ImageParts("png", b"".join(parts), exif)
    raise MessageError("not-an-image", f"more than {MAX_SEGMENTS} PNG chunks")


_BYTE_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}
_EXIF_DIRECTORY = 0x8769  # tag in the first directory: offset of the EXIF directory
_ENTRY_BYTES = 12  # tag, type, count, value or offset
_OFFSET_TYPES = {4, 13}  # LONG, IFD
_BYTE_TYPES = {1, 2, 7}  # BYTE, ASCII, UNDEFINED
_ORIENTATION = (0x0112, 3, 1)  # tag, type SHORT, count


def read_exif(block: bytes, tags: Collection[int]) -> dict[int, bytes]:
    """Read tags from the first directory and the EXIF directory.

    Args:
        block: TIFF structure.
        tags: Numbers of the tags to read.

    Returns:
        Value of each tag. Absent tags, and values that are not bytes, are omitted.
    """
    found: dict[int, bytes] = {}
    order = _BYTE_ORDERS.get(block[:4])
    if order:
        # A truncated block ends the parser; the tags found before are returned.
        with suppress(struct.error):
            (first,) = struct.unpack_from(f"{order}I", block, 4)
            exif_offset = _read_directory(block, order, first, tags, found)
            if exif_offset:
                _read_directory(block, order, exif_offset, tags, found)
    return found


def read_orientation(block: bytes) -> int:
    """Return how a viewer turns or mirrors the picture: 1 (upright) to 8; 1 if the block does not say it.

    Args:
        block: TIFF structure.
    """
    order = _BYTE_ORDERS.get(block[:4])
    if order:
        with suppress(struct.error):
            (first,) = struct.unpack_from(f"{order}I", block, 4)
            (entries,) = struct.unpack_from(f"{order}H", block, first)
            for entry in range(first + 2, first + 2 + _ENTRY_BYTES * entries, _ENTRY_BYTES):
                tag, kind, count, value = struct.unpack_from(f"{order}HHIH", block, entry)
                if (tag, kind, count) == _ORIENTATION:
                    return value if 1 <= value <= 8 else 1
    return 1


def _read_directory(block: bytes, order: str, offset: int, tags: Collection[int], found: dict[int, bytes]) -> int:
    """Add the tags of one directory to `found`; return the offset of the EXIF directory, or 0."""
    exif_offset = 0
    (entries,) = struct.unpack_from(f"{order}H", block, offset)
    for entry in range(offset + 2, offset + 2 + _ENTRY_BYTES * entries, _ENTRY_BYTES):
        tag, kind, count, value = struct.unpack_from(f"{order}HHII", block, entry)
        if tag == _EXIF_DIRECTORY and kind in _OFFSET_TYPES:
            exif_offset = value
        elif tag in tags and tag not in found and kind in _BYTE_TYPES:
            # A value of up to four bytes is in the entry itself; for a longer value the entry contains its offset.
            start = entry + 8 if count <= 4 else value
            if start + count <= len(block):
                found[tag] = block[start : start + count]
    return exif_offset
