"""Faces, ledgers and a folder for tests of the audit."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from face_app.cloud.audit import audit
from face_app.cloud.audit.report import AuditReport
from face_app.cloud.audit.scope import Scope
from face_app.cloud.audit.spans import Span
from face_app.cloud.bucket.mark_object import Mark, dump_marks, mark_key, merge_marks
from face_app.common.ledger_file import EdgeLedger, LedgerEntry, State
from face_app.common.settings import Bucket, Store
from face_app.common.wire import FaceId, FaceTopic, object_key

BEGAN = datetime(2026, 11, 22, 18, 30, tzinfo=timezone.utc)
EVERYTHING = Scope()


@dataclass(frozen=True)
class Face:
    """A face whose bytes are its number.

    Attributes:
        number: Its sequence number.
        outbox: Id of its outbox.
        edge: Name of its edge.
        life: Of an outbox that goes back in time: each life gives numbers again, for other faces.
        began: Time before the first face.
    """

    number: int
    outbox: str = "0badcafe"
    edge: str = "jetson"
    life: int = 0
    began: datetime = BEGAN

    @property
    def data(self) -> bytes:
        return f"{self.outbox} {self.number} {self.life}".encode()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def captured_at(self) -> datetime:
        """Ten an hour."""
        return self.began + timedelta(minutes=6) * self.number

    @property
    def key(self) -> str:
        face = FaceId(self.outbox, self.number)
        return object_key(FaceTopic(self.edge, "door"), face, self.captured_at, self.sha256, "jpg")

    def entry(self, state: State = "stored", reason: str = "", *, settled_at: datetime | None = None) -> LedgerEntry:
        face = FaceId(self.outbox, self.number)
        return LedgerEntry(face, self.key, self.sha256, state, reason, self.captured_at, settled_at)


class Folder:
    """A plain folder, written without the store's code."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings = Store(kind="directory", path=path)

    def put(self, key: str, data: bytes) -> None:
        file = self.path / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def remove(self, key: str) -> None:
        (self.path / key).unlink()

    def put_faces(self, *faces: Face) -> None:
        for face in faces:
            self.put(face.key, face.data)

    def put_mark(self, edge: str = "jetson", outbox: str = "0badcafe", **openings: tuple[int, int]) -> None:
        """Write the mark of a subscriber; tokens are shortened to their first digits."""
        marks = [Mark(first, last, token_of(name)) for name, (first, last) in openings.items()]
        self.put(mark_key(edge, outbox, "subscriber-1"), dump_marks(merge_marks(marks), BEGAN))


def token_of(name: str) -> str:
    """Return the token of an opening: ``a1`` is filled up to 16 digits."""
    return name.ljust(16, "0")


def audited(
    place: Any,
    ledgers: Iterable[EdgeLedger],
    scope: Scope = EVERYTHING,
    *,
    content: bool = True,
    days: int | None = None,
) -> tuple[AuditReport, Any]:
    """Run an audit; return its report, and its only outbox or a list of all."""
    report = audit.run(place.settings, ledgers, scope, content=content, bucket=Bucket(expire_days=days))
    outboxes = list(report.outboxes)
    return report, outboxes[0] if len(outboxes) == 1 else outboxes


def ledger_of(
    entries: Iterable[LedgerEntry],
    last: int,
    *,
    complete_since: datetime | None = None,
    outbox: str = "0badcafe",
    edge: str = "jetson",
    written_at: datetime | None = None,
    **openings: int,
) -> EdgeLedger:
    """Return the ledger of one outbox; its openings as ``a1=1``: name and first number."""
    given = [(token_of(name), first) for name, first in openings.items()]
    return EdgeLedger(
        edge,
        {outbox: last},
        complete_since,
        iter(entries),
        {outbox: given} if given else {},
        written_at=written_at,
    )


def as_numbers(spans: Iterable[Span]) -> set[int]:
    """Return all numbers of some spans."""
    return {number for span in spans for number in range(span.first, span.last + 1)}
