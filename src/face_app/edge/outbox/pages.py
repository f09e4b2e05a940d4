"""Read the rows of a damaged SQLite file page by page, without its b-trees.

A damaged page costs the rows on it and no others. Each page is read a few times, so the size of the
file bounds the work, whatever the damage says.

Source of the format: https://www.sqlite.org/fileformat2.html#b_tree_pages.
"""

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from face_app.edge.outbox.page_size import LEAF
from face_app.edge.outbox.record_format import MAX_RECORD, Value, decode, local_bytes, record_bytes, varint
from face_app.edge.outbox.wal import page_size, read_frames, wal_path

_FILE_HEADER = 100
_LINK = 4
"""Bytes of the link to the next overflow page."""
_POINTER = 5
"""Bytes of an entry in the pointer map, which names the kind and the parent of the pages after it."""
_FREE, _OVERFLOW = 2, {3, 4}
# The header of a record begins with its own size, then the type of each column: 0 is the row number, 77 a text of 32
# bytes, 29 one of 8 bytes. A file of pixels begins as a JPEG or a PNG does.
_FACES = re.compile(rb"[\x0a-\x18]\x00\x4d", re.DOTALL)
_PIXELS = re.compile(rb"[\x03-\x07]\x00[\x80-\xff]{0,4}[\x00-\x7f](?=\xff\xd8\xff|\x89PNG)", re.DOTALL)
_IMAGE = re.compile(rb"\xff\xd8\xff|\x89PNG")
_PIXELS_HEADER = 7 + 4
"""Maximum bytes of the header of a row of pixels, and the first ones of an image."""
_VISITS = re.compile(rb"[\x0a-\x0e]\x00\x1d", re.DOTALL)
_SMALL = re.compile(rb"[\x03-\x06]\x1d[\x00-\x1d]", re.DOTALL)
_INDEX = {0x02, 0x0A}
Part = Literal["log", "unsure", "file"]
ORDERS: tuple[tuple[Part, ...], ...] = (("log", "unsure", "file"), ("unsure", "log", "file"), ("file", "log", "unsure"))
"""Orders in which a file with a log is read. An older log hides newer pages of the file, and a frame of the log whose
checksum is wrong, or whose commit is incomplete, may contain whole faces all the same."""


@dataclass(frozen=True)
class Record:
    """Contains one row.

    Attributes:
        page: Number of its page.
        row: Row number as the page says; 0 if it is unknown.
        values: One per column; the column of the row number is None.
    """

    page: int
    row: int
    values: tuple[Value, ...]


class DamagedFile:
    """Reads the pages of a file and of its write-ahead log.

    Attributes:
        pages: Number of pages.
        page_bytes: Bytes of each.
    """

    def __init__(self, path: Path, order: tuple[Part, ...] = ORDERS[0]) -> None:
        """Open the files read-only. A missing file has no pages.

        Args:
            path: The outbox.
            order: Where to read a page that is in several places, the preferred place first.
        """
        self.page_bytes = page_size(path)
        self._file = _open(path)
        self._log = _open(wal_path(path))
        self._order = order
        self._latest: dict[int, int] = {}
        self._unsure: dict[int, list[int]] = {}
        frames = read_frames(path)
        self._latest.update((frame.page, frame.offset) for frame in frames if frame.good)
        # A row may have moved from an earlier frame to one that is damaged.
        for frame in frames if not all(frame.good for frame in frames) else ():
            if frame.offset != self._latest.get(frame.page):
                self._unsure.setdefault(frame.page, []).insert(0, frame.offset)
        size = 0 if self._file is None else os.fstat(self._file).st_size
        pages = max([-(-size // self.page_bytes), *self._latest])
        # The page number in a damaged frame may be anything; its content gets a number behind all others.
        bound = pages + len(frames)
        strays = [offset for page, offsets in self._unsure.items() if page > bound for offset in offsets]
        known = max([pages, *(page for page in self._unsure if page <= bound)])
        self._unsure.update((known + count, [offset]) for count, offset in enumerate(strays, 1))
        self.pages = known + len(strays)
        self._free = self._free_pages()

    def __enter__(self) -> "DamagedFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self._file, self._log):
            if file is not None:
                os.close(file)

    def numbers(self) -> Iterator[int]:
        """Yield the number of each page that may contain rows; a free page contains deleted ones."""
        return (number for number in range(1, self.pages + 1) if not self.is_free(number))

    def free_numbers(self) -> Iterator[int]:
        """Yield the number of each free page; after a mistake of the disk it may contain pixels that are needed."""
        return (number for number in range(1, self.pages + 1) if self.is_free(number))

    def is_free(self, number: int) -> bool:
        """Return True if both the list of free pages and the pointer map say so: one of them may be damaged.

        An image on such a page was deleted, or the disk has exchanged it with a needed one; on any other it is needed.
        """
        return number in self._free and self._kind(number) == _FREE

    def current_records(self, number: int) -> Iterator[Record]:
        """Yield the rows of the preferred version of a page."""
        yield from self._cells(number, self._page(number))[0]

    def records(self, number: int) -> Iterator[Record]:
        """Yield the rows of the preferred version of a page, then those of its other versions and of damaged parts."""
        for count, page in enumerate(self._versions(number)):
            cells, flawless = self._cells(number, page)
            yield from cells
            if not flawless and (count or self._may_be_node(number)):
                yield from self._carve(number, page)

    def _versions(self, number: int) -> list[bytes]:
        """Return the versions of a page, the preferred one first."""
        return list(dict.fromkeys(page for part in self._order for page in self._read(part, number)))

    def _page(self, number: int) -> bytes:
        """Return the preferred version of a page."""
        return next(page for part in self._order for page in self._read(part, number))

    def _read(self, part: Part, number: int) -> Iterator[bytes]:
        """Yield the versions of a page in one place, the latest first; the log may have none."""
        if part == "file":
            data = b"" if self._file is None else os.pread(self._file, self.page_bytes, (number - 1) * self.page_bytes)
            yield data.ljust(self.page_bytes, b"\0")
            return
        latest = [self._latest[number]] if number in self._latest else []
        for offset in latest if part == "log" else self._unsure.get(number, []):
            if self._log is not None:
                yield os.pread(self._log, self.page_bytes, offset).ljust(self.page_bytes, b"\0")

    def _kind(self, number: int) -> int:
        """Return the kind of a page in the pointer map, 0 if it has none."""
        entries = self.page_bytes // _POINTER
        place, entry = divmod(number - 3, entries + 1)
        if number < 3 or entry == entries:
            return 0
        return self._page(2 + place * (entries + 1))[_POINTER * entry]

    def _may_be_node(self, number: int) -> bool:
        """Return False for the pages after the first one of a large record, and for free pages."""
        return self._kind(number) not in {_FREE, *_OVERFLOW}

    def _free_pages(self) -> set[int]:
        free: set[int] = set()
        trunk = int.from_bytes(self._page(1)[32:36], "big") if self.pages else 0
        while 0 < trunk <= self.pages and trunk not in free:
            free.add(trunk)
            page = self._page(trunk)
            trunk, count = struct.unpack_from(">II", page)
            free.update(struct.unpack_from(f">{min(count, self.page_bytes // 4 - 2)}I", page, 8))
        return free

    def _cells(self, number: int, page: bytes) -> tuple[list[Record], bool]:
        """Return the rows of a leaf, and whether all of it is intact."""
        start = _FILE_HEADER if number == 1 else 0
        count = int.from_bytes(page[start + 3 : start + 5], "big")
        if page[start] != LEAF or count > (self.page_bytes - start - 8) // 2:
            return [], False
        pointers = struct.unpack_from(f">{count}H", page, start + 8)
        cells = [self._cell(number, page, pointer) for pointer in pointers]
        return [cell for cell in cells if cell], all(cells)

    def _cell(self, number: int, page: bytes, at: int) -> Record | None:
        size, at = varint(page, at)
        row, at = varint(page, at)
        data = self._record_bytes(page, at, size)
        values = None if data is None else decode(data) or _pixels(data)
        return Record(number, row, values) if values else None

    def _carve(self, number: int, page: bytes) -> Iterator[Record]:
        """Yield the rows whose record header is intact, wherever it is in the page."""
        # The index of a small table has records of the same form as a small table.
        small = () if page[0] in _INDEX else (_SMALL,)
        for signature in (_FACES, _PIXELS, _VISITS, *small):
            for match in signature.finditer(page):
                at = match.start()
                data = self._record_bytes(page, at, record_bytes(page[at:]) or 0)
                values = None if data is None else decode(data)
                if values:
                    yield Record(number, 0, values)

    def _record_bytes(self, page: bytes, at: int, size: int) -> bytes | None:
        """Return a record that begins in a page and continues on overflow pages; None if a part is missing."""
        if not 2 <= size <= MAX_RECORD or at >= self.page_bytes:
            return None
        local = local_bytes(size, self.page_bytes)
        if local == size:
            return page[at : at + size] if at + size <= self.page_bytes else None
        parts, link = [page[at : at + local]], page[at + local : at + local + _LINK]
        missing = size - local
        visited: set[int] = set()
        while missing > 0:
            following = int.from_bytes(link, "big")
            if not 1 < following <= self.pages or following in visited:
                return None
            visited.add(following)
            overflow = self._page(following)
            parts.append(overflow[_LINK : _LINK + missing])
            link, missing = overflow[:_LINK], missing - (self.page_bytes - _LINK)
        return b"".join(parts)


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _pixels(data: bytes) -> tuple[Value, ...] | None:
    """Return the row of pixels whose record header is damaged: the image fills the rest of the record."""
    image = _IMAGE.search(data, 0, _PIXELS_HEADER)
    return (None, data[image.start() :]) if image else None
