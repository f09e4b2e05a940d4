"""Index the keys of the bucket."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from face_app.cloud.audit.names import OutboxName
from face_app.cloud.audit.report_object import edge_of_report
from face_app.cloud.audit.scope import Scope
from face_app.cloud.bucket.face_key_parts import edge_of, hour_of
from face_app.cloud.bucket.mark_object import outbox_of_mark
from face_app.cloud.bucket.rights import RIGHTS_KEY
from face_app.cloud.bucket.selection import QUARANTINE
from face_app.cloud.bucket.tombstone import ERASED, TOMBSTONES
from face_app.common.wire import FaceId, face_of_key

BARE_IMAGES = "test/seed/"
"""Prefix of images from the original homework's topic."""


@dataclass(frozen=True)
class BucketIndex:
    """Contains the objects of one outbox, by sequence number.

    Attributes:
        objects: First key of each face.
        duplicates: All keys of each face that has more than one.
        erased: Key of each erased face, by its record.
    """

    objects: dict[int, str] = field(default_factory=dict)
    duplicates: dict[int, list[str]] = field(default_factory=dict)
    erased: dict[int, str] = field(default_factory=dict)

    def add(self, sequence: int, key: str) -> None:
        """Add an object."""
        first = self.objects.setdefault(sequence, key)
        if first != key:
            self.duplicates.setdefault(sequence, [first]).append(key)

    def update(self, other: "BucketIndex") -> None:
        """Add the objects of another index."""
        for sequence in other.objects:
            for key in other.keys_of(sequence):
                self.add(sequence, key)
        self.erased.update(other.erased)

    def keys_of(self, sequence: int) -> list[str]:
        """Return all keys of one face."""
        return self.duplicates.get(sequence) or ([self.objects[sequence]] if sequence in self.objects else [])


@dataclass(frozen=True)
class Listing:
    """Contains the keys of the bucket by kind.

    Attributes:
        outboxes: Faces by edge and outbox.
        quarantine: Number of refused messages by reason.
        bare_images: Number of images of the original homework's topic.
        foreign: Keys that are not face-app keys.
        tombstones: Keys of the tombstones.
    """

    outboxes: dict[OutboxName, BucketIndex]
    quarantine: Counter[str]
    bare_images: int
    foreign: tuple[str, ...]
    tombstones: tuple[str, ...] = ()

    def faces(self) -> Iterator[str]:
        """Yield the keys of all faces, those of one folder in succession."""
        for index in self.outboxes.values():
            yield from sorted(key for sequence in index.objects for key in index.keys_of(sequence))


def sort_keys(keys: Iterable[str], scope: Scope) -> Listing:
    """Sort the keys of a bucket by kind. Marks (see `read_marks`) and reports of audits are in no kind."""
    outboxes: dict[OutboxName, BucketIndex] = {}

    def index(face: FaceId, key: str) -> BucketIndex:
        return outboxes.setdefault(OutboxName(scope.present_name(edge_of(key)), face.outbox), BucketIndex())

    quarantine: Counter[str] = Counter()
    foreign: list[str] = []
    tombstones: list[str] = []
    bare_images = 0
    for key in keys:
        if face := _face(key):
            index(face, key).add(face.sequence, key)
        elif key.startswith(TOMBSTONES):
            tombstones.append(key)
        elif key.startswith(ERASED) and (face := _face(key.removeprefix(ERASED))):
            erased = key.removeprefix(ERASED)
            index(face, erased).erased[face.sequence] = erased
        elif key.startswith(QUARANTINE) and key.count("/") in {2, 3}:
            quarantine[key.split("/")[-2]] += 1
        elif key.startswith(BARE_IMAGES):
            bare_images += 1
        elif key != RIGHTS_KEY and not outbox_of_mark(key) and not edge_of_report(key):
            foreign.append(key)
    return Listing(outboxes, quarantine, bare_images, tuple(foreign), tuple(tombstones))


def _face(key: str) -> FaceId | None:
    """Parse the face id in a key; None if the key is not that of a face, or its hour is invalid."""
    face = face_of_key(key)
    if face:
        try:
            hour_of(key)
        except ValueError:
            return None
    return face
