"""A few texts out of an EXIF block that anybody may have written.

An image library turns every tag into numbers and fractions, wanted or not: 20 MB of them cost seconds and half a
gigabyte. This reads what it is asked for and copies nothing else.
"""

import struct
from collections.abc import Collection
from contextlib import suppress

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
