"""Cut a listing into parts that can be compared with the index: one camera and one hour each."""

from collections.abc import Iterable, Iterator

from face_app.cloud.gallery.face_key import FaceKey, Folder, parse_key
from face_app.cloud.gallery.index_writer import Part
from face_app.cloud.gallery.objects import Listed

MOST = 1000
"""Maximum number of faces of a part: limits memory where one hour has very many."""


class ListingParts:
    """Cuts one listing into parts. The keys of a folder follow each other, in order.

    Attributes:
        seen: Folders (edge, camera, hour) with at least one face.
        others: Keys that are not those of faces; the caller takes them away.
    """

    def __init__(self) -> None:
        self.seen: set[Folder] = set()
        self.others: list[str] = []
        self._folder: Folder | None = None
        self._after = ""
        self._pending: dict[FaceKey, int] = {}

    def feed(self, page: Iterable[Listed]) -> Iterator[Part]:
        """Take the next page; yield the parts that it ends."""
        for each in page:
            key = parse_key(each.key)
            if key is None:
                self.others.append(each.key)
                continue
            if key.folder != self._folder:
                yield from self.finish()
                self._folder = key.folder
                self.seen.add(key.folder)
            elif len(self._pending) >= MOST:
                yield Part(self._pending, self._after, complete=False)
                self._after = max(pending.name for pending in self._pending)
                self._pending = {}
            self._pending[key] = each.stored_ms

    def finish(self) -> Iterator[Part]:
        """Yield the part that waits, as the end of its folder."""
        if self._pending:
            yield Part(self._pending, self._after, complete=True)
        self._pending = {}
        self._after = ""
