"""Cut a listing into parts that can be compared with the index: one camera and one hour each."""

from collections.abc import Iterable, Iterator

from face_app.cloud.gallery.face_key import FaceKey, Folder, parse_key
from face_app.cloud.gallery.index_writer import Part
from face_app.cloud.gallery.objects import Listed

MAX_FACES = 1000
"""Maximum number of faces of a part: limits memory where one hour has very many."""


class ListingParts:
    """Cuts one listing into parts.

    A part covers a range of names without a gap. So a face of the index in that range that the part lacks is gone. The
    listing must be in the order of keys: then the keys of a folder follow each other.

    Attributes:
        seen: Folders (edge, camera, hour) with at least one face.
        others: Keys of other objects, complete after the parts of a page are read; the caller empties the list.
    """

    def __init__(self) -> None:
        self.seen: set[Folder] = set()
        self.others: list[str] = []
        self._folder: Folder | None = None
        self._after = ""  # name of the last face of the part before, in the same folder
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
            elif len(self._pending) >= MAX_FACES:
                yield Part(self._pending, self._after, complete=False)
                self._after = max(pending.name for pending in self._pending)
                self._pending = {}
            self._pending[key] = each.stored_ms

    def finish(self) -> Iterator[Part]:
        """Yield the last part of the open folder."""
        if self._pending:
            yield Part(self._pending, self._after, complete=True)
        self._pending = {}
        self._after = ""
