"""What the bucket's list alone tells."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from face_app.cloud.audit.scope import hour_of
from face_app.common.wire import FaceId, face_of_key

ERASED = "erased/"
"""An empty object under this prefix and the key of a face says that the face was erased on request."""
QUARANTINE = "quarantine/"
BARE_IMAGES = "test/seed/"


@dataclass(frozen=True)
class BucketIndex:
    """What the bucket holds of one outbox, by sequence.

    Attributes:
        objects: Key of each face; the first one where there are several.
        copies: All keys of each face that has several.
        erased: Key of each face that was erased on request.
    """

    objects: dict[int, str] = field(default_factory=dict)
    copies: dict[int, list[str]] = field(default_factory=dict)
    erased: dict[int, str] = field(default_factory=dict)

    def add(self, sequence: int, key: str) -> None:
        """Take note of an object."""
        first = self.objects.setdefault(sequence, key)
        if first != key:
            self.copies.setdefault(sequence, [first]).append(key)

    def keys(self, sequence: int) -> list[str]:
        """All objects of one face."""
        return self.copies.get(sequence) or ([self.objects[sequence]] if sequence in self.objects else [])


@dataclass(frozen=True)
class Listing:
    """The bucket, sorted.

    Attributes:
        shelves: The faces, by the id of their outbox.
        quarantine: How many refused messages are kept, by reason.
        bare_images: How many images of the write-up's topic are kept.
        foreign: Keys that are none of ours.
    """

    shelves: dict[str, BucketIndex]
    quarantine: Counter[str]
    bare_images: int
    foreign: tuple[str, ...]


def sort_keys(keys: Iterable[str]) -> Listing:
    """Sort the keys of a bucket."""
    shelves: dict[str, BucketIndex] = {}
    quarantine: Counter[str] = Counter()
    bare_images, foreign = 0, []
    for key in keys:
        if face := _face(key):
            shelves.setdefault(face.outbox, BucketIndex()).add(face.sequence, key)
        elif key.startswith(ERASED) and (face := _face(key.removeprefix(ERASED))):
            shelves.setdefault(face.outbox, BucketIndex()).erased[face.sequence] = key.removeprefix(ERASED)
        elif key.startswith(QUARANTINE) and key.count("/") == 2:
            quarantine[key.split("/")[1]] += 1
        elif key.startswith(BARE_IMAGES):
            bare_images += 1
        else:
            foreign.append(key)
    return Listing(shelves, quarantine, bare_images, tuple(foreign))


def _face(key: str) -> FaceId | None:
    face = face_of_key(key)
    if face:
        try:
            hour_of(key)
        except ValueError:
            return None
    return face
