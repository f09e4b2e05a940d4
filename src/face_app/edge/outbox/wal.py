"""Read a write-ahead log of SQLite frame by frame, also after damage that ends SQLite's own reading.

SQLite ignores every frame after the first one whose checksum is wrong. Each frame contains its checksum, and that of
the next one continues it, so the frames after a damaged one can be verified too.

Source of the format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log.
"""

import os
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from face_app.edge.outbox.page_size import PAGE, PAGE_SIZES, find_page_size
from face_app.edge.outbox.schema import read_only

_HEADER = 32
_FRAME_HEADER = 24
FRAME = _FRAME_HEADER + PAGE
"""Bytes of a frame of a new outbox: its header and a page."""
_PAGE_SIZE = slice(8, 12)
"""Place of the page size in the header of the log."""
_MAGIC = {0x377F0682: "little", 0x377F0683: "big"}
_MAX_FRAME_OFFSET = 16
"""Offset of the number of valid frames in the index of the log (`-shm`)."""


@dataclass(frozen=True)
class Frame:
    """Describes a frame of the log.

    Attributes:
        page: Number of its page.
        offset: Offset of the page in the log.
        good: True if its checksum is correct, and a commit follows.
    """

    page: int
    offset: int
    good: bool


def wal_path(path: Path) -> Path:
    """Return the path of an outbox's write-ahead log."""
    return path.with_name(f"{path.name}-wal")


def wal_bytes(path: Path) -> int:
    """Return the bytes of an outbox's write-ahead log, 0 if it has none."""
    try:
        return wal_path(path).stat().st_size
    except FileNotFoundError:
        return 0


def page_size(path: Path) -> int:
    """Return the bytes of a page of an outbox: as the log says if its header is intact, or as the file suggests."""
    if wal_bytes(path) >= _HEADER:
        with wal_path(path).open("rb") as log:
            first = log.read(_HEADER)
        size = int.from_bytes(first[_PAGE_SIZE], "big")
        if _header_is_valid(first) and size in PAGE_SIZES:
            return size
    return find_page_size(path)


def read_frames(path: Path) -> list[Frame]:
    """Return the frames in the log of an outbox in their order, damaged ones included.

    Frames of an earlier generation of the log are excluded: the file has newer versions of their pages.
    """
    size = page_size(path)
    if wal_bytes(path) < _HEADER + _FRAME_HEADER + size:
        return []
    with wal_path(path).open("rb") as file:
        headers = list(_frame_headers(file.fileno(), size))
        first = os.pread(file.fileno(), _HEADER, 0)
        salts = _salts(first, headers)
        order, checksum = _order(first), first[24:32]
        frames: list[Frame] = []
        committed = 0
        for number, header in enumerate(headers):
            page, commit = struct.unpack_from(">II", header)
            offset = _HEADER + number * (_FRAME_HEADER + size) + _FRAME_HEADER
            data = os.pread(file.fileno(), size, offset).ljust(size, b"\0")
            good = _checksum(header[:8] + data, checksum, order) == header[16:24]
            checksum = header[16:24]
            if header[8:16] != salts or not page:
                continue  # an older generation, or a frame whose own header is damaged
            frames.append(Frame(page, offset, good))
            if commit:
                committed = len(frames)
        return frames[:committed] + [replace(frame, good=False) for frame in frames[committed:]]


def hidden_commits(path: Path) -> int:
    """Return the number of commits in the log of an outbox that SQLite does not read, because of damage before them.

    A power cut can leave one incomplete commit at the end, which was never confirmed.
    """
    with wal_path(path).open("rb") as file:
        headers = list(_frame_headers(file.fileno(), page_size(path)))
        first = os.pread(file.fileno(), _HEADER, 0)
    if not headers or not any(first + headers[0]):
        return 0
    salts = _salts(first, headers)
    # SQLite deletes the log of an empty file.
    visible = _visible_frames(path) if path.stat().st_size else 0
    commits = sum(header[8:16] == salts and header[4:8] != bytes(4) for header in headers[visible:])
    # SQLite ignores a log whose own header is damaged; that header is older than every commit in the log.
    complete = _header_is_valid(first) and path.stat().st_size
    return commits if complete else 2 * commits


def _visible_frames(path: Path) -> int:
    """Return the number of frames that SQLite reads; it computes that number when it opens the file."""
    with read_only(path) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        with suppress(FileNotFoundError):
            index = path.with_name(f"{path.name}-shm").read_bytes()[: _MAX_FRAME_OFFSET + 4]
            if len(index) == _MAX_FRAME_OFFSET + 4:
                return int.from_bytes(index[_MAX_FRAME_OFFSET:], sys.byteorder)
    return 0


def _frame_headers(file: int, size: int) -> Iterator[bytes]:
    offset = _HEADER
    while len(header := os.pread(file, _FRAME_HEADER, offset)) == _FRAME_HEADER:
        yield header
        offset += _FRAME_HEADER + size


def _header_is_valid(first: bytes) -> bool:
    magic = int.from_bytes(first[:4], "big")
    return magic in _MAGIC and _checksum(first[:24], bytes(8), _MAGIC[magic]) == first[24:32]


def _salts(first: bytes, headers: list[bytes]) -> bytes:
    """Return the salts of the current generation."""
    if _header_is_valid(first):
        return first[16:24]
    pairs = pairwise(headers)
    return next((each[8:16] for each, after in pairs if each[8:16] == after[8:16]), headers[0][8:16])


def _order(first: bytes) -> str:
    """Return the byte order of the checksums; that of this machine if the header of the log does not say it."""
    magic = int.from_bytes(first[:4], "big")
    return _MAGIC.get(magic, sys.byteorder)


def _checksum(data: bytes, before: bytes, order: str) -> bytes:
    """Continue SQLite's checksum of the log over more bytes."""
    first, second = struct.unpack(">II", before)
    words = struct.unpack(f"{'<' if order == 'little' else '>'}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return struct.pack(">II", first, second)
