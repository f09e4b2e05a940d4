"""Find the objects that selections cover: faces with all their versions, and their copies in quarantine."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timezone

from face_app.cloud.bucket.face_key_parts import HOUR, hour_of
from face_app.cloud.bucket.selection import QUARANTINE, Described, Selection, describe, edge_of_copy, hash_of
from face_app.cloud.stores.versions import StoredObject, Versions
from face_app.common.wire import RESERVED, face_of_key

THREADS = 16
"""Objects that are read in parallel."""
EARLIEST_YEAR = 1970
"""Year before which a range is listed from the first key on."""
BATCH = 200
"""Objects whose metadata is read before the next ones are listed: it bounds the memory."""


@dataclass
class FaceFinder:
    """Finds objects, and notes those that cannot be compared.

    Attributes:
        versions: Access to the bucket.
        unreadable: Keys of faces that a range may cover, but whose metadata cannot be read.
        unattributed: Keys of copies in quarantine that name neither time nor camera, so no range covers them.
    """

    versions: Versions
    unreadable: list[str] = field(default_factory=list)
    unattributed: list[str] = field(default_factory=list)

    def find(self, selections: Sequence[Selection]) -> Iterator[StoredObject]:
        """Yield the objects that selections cover, each at least once.

        Raises:
            StoreError: No answer, or a refusal.
        """
        for selection in selections:
            yield from self.faces(selection)
        if selections:
            yield from self._copies(selections)

    def faces(self, selection: Selection) -> Iterator[StoredObject]:
        """Yield the faces that a selection covers, by edge, camera and time.

        Raises:
            StoreError: No answer, or a refusal.
        """
        if selection.key:
            found = self.versions.objects(selection.key)
            yield from (each for each in found if each.key == selection.key and each.newest)
            return
        for prefix in self._cameras(selection):
            objects = self.versions.objects(prefix, _start(prefix, selection))
            yield from self._covered(_until(objects, selection), selection)

    def _cameras(self, selection: Selection) -> Iterator[str]:
        """Yield the prefixes of the cameras of a range: so the hours of each can be listed from the first one on."""
        edges = [f"{selection.edge}/"] if selection.edge else self.versions.folders("")
        for edge in edges:
            if edge.rstrip("/") not in RESERVED:
                yield from [f"{edge}{selection.camera}/"] if selection.camera else self.versions.folders(edge)

    def _covered(self, objects: Iterable[StoredObject], selection: Selection) -> Iterator[StoredObject]:
        undecided: list[StoredObject] = []
        for each in objects:
            decision = selection.decide(each.key)
            if decision is None:
                undecided.append(each)
            elif decision:
                yield each
            if len(undecided) >= BATCH:
                yield from self._compared(undecided, [selection], self.unreadable)
                undecided.clear()
        yield from self._compared(undecided, [selection], self.unreadable)

    def _compared(
        self, objects: Sequence[StoredObject], selections: Sequence[Selection], unreadable: list[str]
    ) -> Iterator[StoredObject]:
        """Yield the objects whose metadata selections cover."""
        with ThreadPoolExecutor(THREADS, thread_name_prefix="find") as pool:
            for each, described in zip(objects, pool.map(self._describe, objects), strict=True):
                if described is None:
                    unreadable.append(each.key)
                elif any(selection.covers(described) for selection in selections):
                    yield each

    def _describe(self, found: StoredObject) -> Described | None:
        """Describe an object by its newest version that can be read; None if there is none."""
        for version in reversed(found.versions):
            data = None if version.marker else self.versions.read(found.key, version)
            described = describe(found.key, data) if data else None
            if described:
                return described
        return None

    def _copies(self, selections: Sequence[Selection]) -> Iterator[StoredObject]:
        """Yield the copies in quarantine that selections cover."""
        hashes = {hash_of(selection.key) for selection in selections if selection.key}
        ranges = [selection for selection in selections if not selection.key]
        undecided: list[StoredObject] = []
        for each in self.versions.objects(QUARANTINE):
            edge = edge_of_copy(each.key)
            if hash_of(each.key) in hashes:
                yield each
            elif any(edge in {"", selection.edge or edge} for selection in ranges):
                undecided.append(each)
            if len(undecided) >= BATCH:
                yield from self._compared(undecided, ranges, self.unattributed)
                undecided.clear()
        yield from self._compared(undecided, ranges, self.unattributed)


def _start(prefix: str, selection: Selection) -> str:
    """Return the text after which the keys of a camera are listed: the end of the hour before the range.

    The beginning of its first hour would do, but SeaweedFS 4.48 then leaves out the keys of that hour.
    """
    if selection.since is None or selection.since.year < EARLIEST_YEAR:
        return ""
    return f"{prefix}{selection.since.astimezone(timezone.utc) - HOUR:%Y/%m/%d/%H}/~"


def _until(objects: Iterable[StoredObject], selection: Selection) -> Iterator[StoredObject]:
    """Yield the faces up to the last hour of a range; other objects, and those without bytes, are excluded."""
    for each in objects:
        if face_of_key(each.key) is None or each.newest is None:
            continue
        try:
            hour = hour_of(each.key)
        except ValueError:
            continue
        if selection.until and hour >= selection.until:
            return
        yield each
