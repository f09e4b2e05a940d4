"""Collect from a listing what is not a face: quarantine, tombstones, marks."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from face_app.cloud.audit.report_object import edge_of_report
from face_app.cloud.bucket.mark_object import load_marks, outbox_of_mark
from face_app.cloud.bucket.selection import QUARANTINE
from face_app.cloud.bucket.tombstone import ERASED, TOMBSTONES
from face_app.cloud.gallery.face_key import parse_key
from face_app.cloud.gallery.objects import Objects
from face_app.common.errors import StoreError

MOST = 10_000
"""Maximum number of keys that are remembered of each kind."""


@dataclass
class BucketFacts:
    """Contains what one listing found besides faces.

    Attributes:
        quarantine: Number of refused messages by edge and reason; the edge is ``-`` where the key names none.
        erased: Number of tombstones by edge and outbox.
        marks: Keys of the high-water marks by edge and outbox.
        foreign: Number of other keys.
    """

    quarantine: Counter[tuple[str, str]] = field(default_factory=Counter)
    erased: Counter[tuple[str, str]] = field(default_factory=Counter)
    marks: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    foreign: int = 0

    def add(self, keys: Iterable[str]) -> None:
        """Sort keys by kind."""
        for key in keys:
            kind, _, rest = key.partition("/")
            parts = rest.split("/")
            if f"{kind}/" == QUARANTINE and len(parts) in {2, 3}:
                # Earlier versions wrote quarantine/<reason>/<name>.
                place = (parts[0], parts[1]) if len(parts) == 3 else ("-", parts[0])
                if place in self.quarantine or len(self.quarantine) < MOST:
                    self.quarantine[place] += 1
            elif key.startswith(TOMBSTONES):
                continue
            elif f"{kind}/" == ERASED and (face := parse_key(rest)):
                self.erased[face.edge, face.face.outbox] += 1
            elif (outbox := outbox_of_mark(key)) and len(self.marks) < MOST:
                self.marks.setdefault(outbox, []).append(key)
            elif not edge_of_report(key):
                self.foreign += 1


@dataclass(frozen=True)
class Mark:
    """Contains the highest number that subscribers have seen of one outbox.

    Attributes:
        last: The number; None if no mark can be read.
        at: Time of the newest mark, ISO 8601; empty if there is none.
    """

    last: int | None = None
    at: str = ""


def read_mark(objects: Objects, keys: Iterable[str]) -> Mark:
    """Read the marks of one outbox; an unreadable one is ignored."""
    numbers: list[int] = []
    times: list[str] = []
    for key in keys:
        try:
            data = objects.get(key) or b""
            numbers += [mark.last for mark in load_marks(data, key)]
        except StoreError:
            continue
        times.append(str(json.loads(data).get("at", "")))
    return Mark(max(numbers, default=None), max(times, default=""))
