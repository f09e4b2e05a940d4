"""Find the page size of a damaged SQLite file: its header may be damaged, and its pages are not.

The outbox has pages of 4 KiB, unless another program has rewritten it.
"""

import os
import struct
from collections import Counter
from pathlib import Path

from face_app.edge.outbox.record_format import local_bytes, varint

PAGE = 4096
"""Bytes of a page of a new outbox; SQLite's default."""
PAGE_SIZES = tuple(2**power for power in range(9, 17))
"""Sizes that SQLite supports."""
LEAF = 0x0D
"""First byte of a page with rows."""
_ENOUGH = 20
"""Number of pages after which the result is clear."""
_BLOCK = max(PAGE_SIZES)


def find_page_size(path: Path) -> int:
    """Return the size with which the most pages of a file contain rows up to their end."""
    votes: Counter[int] = Counter()
    try:
        with path.open("rb") as file:
            votes[_header_size(file.fileno())] = 1
            while (block := file.read(_BLOCK)) and max(votes.values()) < _ENOUGH:
                votes.update(size for size in PAGE_SIZES for at in range(0, len(block), size) if _fits(block, at, size))
    except OSError:
        return PAGE
    return votes.most_common(1)[0][0]


def _header_size(file: int) -> int:
    size = int.from_bytes(os.pread(file, 2, 16), "big")
    return size if size in PAGE_SIZES else _BLOCK if size == 1 else PAGE


def _fits(block: bytes, at: int, size: int) -> bool:
    """Return True if rows begin at this offset, and the last of them ends where a page of this size does."""
    page = block[at : at + size]
    if page[0] != LEAF or len(page) < size:
        return False
    count = int.from_bytes(page[3:5], "big")
    if not 0 < count <= (size - 8) // 2:
        return False
    last = max(struct.unpack_from(f">{count}H", page, 8))
    record, end = varint(page, last)
    _, end = varint(page, end)
    local = local_bytes(record, size)
    return last < size and end + local + (4 if local < record else 0) == size
