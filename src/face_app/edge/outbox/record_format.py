"""Decode records of SQLite, also from bytes that are damaged or begin anywhere.

Source of the format: https://www.sqlite.org/fileformat2.html#record_format.
"""

import struct

MAX_RECORD = 64 * 1024 * 1024
"""Maximum bytes of a record; the largest face has less than half. A damaged length may be anything."""
_MAX_HEADER = 64
_INTEGER_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
Value = int | float | str | bytes | None


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of 1 to 9 bytes; return it and the offset after it."""
    value = 0
    for count, byte in enumerate(data[at : at + 9], 1):
        if count == 9:
            return _signed(value << 8 | byte), at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + count
    return 0, len(data)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def local_bytes(record: int, page: int) -> int:
    """Return how many bytes of a record are on its own page; the others are on overflow pages.

    Args:
        record: Bytes of the record.
        page: Bytes of a page.
    """
    limit, minimum = page - 35, (page - 12) * 32 // 255 - 23
    if record <= limit:
        return record
    local = minimum + (record - minimum) % (page - 4)
    return local if local <= limit else minimum


def record_bytes(data: bytes) -> int | None:
    """Return the bytes of the record at the beginning of the data, by its header; None if that is invalid."""
    types = _types(data)
    return None if types is None else data[0] + sum(map(_size, types))


def decode(data: bytes) -> tuple[Value, ...] | None:
    """Return the values of a record; None if it is invalid."""
    types = _types(data)
    if not types or data[0] + sum(map(_size, types)) != len(data):
        return None
    at, values = data[0], []
    try:
        for kind in types:
            values.append(_value(kind, data[at : at + _size(kind)]))
            at += _size(kind)
    except UnicodeDecodeError:
        return None
    return tuple(values)


def _types(data: bytes) -> list[int] | None:
    """Return the type of each column in the header of a record; None if the header is invalid."""
    end, at = varint(data, 0)
    if not 2 <= end <= min(len(data), _MAX_HEADER):
        return None
    types = []
    while at < end:
        each, at = varint(data, at)
        types.append(each)
    return types if at == end and all(each >= 0 and each not in {10, 11} for each in types) else None


def _size(kind: int) -> int:
    """Return the bytes of a value, by its type."""
    return _INTEGER_SIZES.get(kind, 8 if kind == 7 else 0 if kind < 12 else (kind - 12) // 2)


def _value(kind: int, data: bytes) -> Value:
    if kind in _INTEGER_SIZES:
        return int.from_bytes(data, "big", signed=True)
    if kind == 7:
        return float(struct.unpack(">d", data)[0])
    if kind < 12:
        return kind - 8 if kind in {8, 9} else None
    return data if kind % 2 == 0 else data.decode()
