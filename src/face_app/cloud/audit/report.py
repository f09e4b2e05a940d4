"""What an audit found."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from face_app.cloud.audit.spans import Span


@dataclass(frozen=True)
class Wrong:
    """An object that is not what its key or the ledger says.

    Attributes:
        key: Which.
        why: In a few words.
    """

    key: str
    why: str


@dataclass(frozen=True)
class OutboxReport:
    """The faces of one outbox; each counts once.

    Attributes:
        edge: Whose it is.
        outbox: Its id.
        ledger: Whether a ledger tells of it; without one all but the bucket's own side is empty.
        captured: All numbers given; without a ledger the least that can be.
        stored: Those with an object.
        under_way: Of the stored ones, those whose edge does not know it yet, or took them for refused or expired.
        waiting: Those that wait at the edge.
        refused: Those refused, by reason.
        expired: Those whose pixels a limit of the edge took, by reason.
        erased: Those erased on request.
        newer: Objects with numbers given after the ledger was written. They are in no other count.
        gaps: Numbers without an object, by the bucket's list alone. A fault only where no ledger explains them.
        missing: Stored ones without an object, and numbers that the ledger does not know.
        wrong: Objects that are not what they should be.
        duplicates: The keys of each face that has several.
        unknown: Objects that the ledger should know and does not.
        revenants: Objects of faces that were erased.
    """

    edge: str
    outbox: str
    ledger: bool
    captured: int
    stored: int
    under_way: int
    waiting: int
    refused: Counter[str]
    expired: Counter[str]
    erased: int
    newer: int
    gaps: tuple[Span, ...]
    missing: tuple[Span, ...]
    wrong: tuple[Wrong, ...]
    duplicates: tuple[tuple[str, ...], ...]
    unknown: tuple[str, ...]
    reappeared_after_erasure: tuple[str, ...]

    @property
    def faults(self) -> dict[str, int]:
        """How many of each kind."""
        return {
            "missing": sum(span.count for span in self.missing),
            "unexplained": 0 if self.ledger else sum(span.count for span in self.gaps),
            "wrong": len(self.wrong),
            "duplicated": len(self.duplicates),
            "unknown to the ledger": len(self.unknown),
            "erased but there": len(self.reappeared_after_erasure),
        }

    def document(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {
            "outbox": self.outbox,
            "ledger": self.ledger,
            "counts": self.counts(),
            "refused": dict(self.refused),
            "expired": dict(self.expired),
            "gaps": [[span.first, span.last] for span in self.gaps],
            "missing": [[span.first, span.last] for span in self.missing],
            "wrong": [{"key": each.key, "why": each.why} for each in self.wrong],
            "duplicates": [list(keys) for keys in self.duplicates],
            "unknown": list(self.unknown),
            "erased_but_there": list(self.reappeared_after_erasure),
            "faults": self.faults,
        }

    def counts(self) -> dict[str, int]:
        """The sides of the equation as numbers, in the order of a table."""
        return {
            "captured": self.captured,
            "stored": self.stored,
            "under_way": self.under_way,
            "waiting": self.waiting,
            "refused": self.refused.total(),
            "expired": self.expired.total(),
            "erased": self.erased,
            "missing": sum(span.count for span in self.missing),
            "newer": self.newer,
        }


@dataclass(frozen=True)
class EdgeReport:
    """One edge: all of its outboxes."""

    edge: str
    outboxes: tuple[OutboxReport, ...]

    def counts(self) -> dict[str, int]:
        """The sums of `OutboxReport.counts`."""
        return _summed(outbox.counts() for outbox in self.outboxes)


@dataclass(frozen=True)
class AuditReport:
    """One audit.

    Attributes:
        since: Only faces captured then or later; None: from the first.
        until: Only faces captured before; None: to the last.
        read: How many objects were read and compared; None: that was not asked for.
        edges: By name.
        quarantine: How many refused messages the bucket keeps, by reason.
        bare_images: How many images of the write-up's topic it keeps.
        foreign: Objects that are none of ours. They are told and change nothing.
        not_judged: What this audit could not look at, one sentence each.
    """

    since: datetime | None
    until: datetime | None
    read: int | None
    edges: tuple[EdgeReport, ...]
    quarantine: Counter[str]
    bare_images: int
    foreign: tuple[str, ...]
    not_judged: tuple[str, ...]

    @property
    def outboxes(self) -> Iterator[OutboxReport]:
        """Every outbox of every edge."""
        return (outbox for edge in self.edges for outbox in edge.outboxes)

    def counts(self) -> dict[str, int]:
        """The sums of `OutboxReport.counts`."""
        return _summed(outbox.counts() for outbox in self.outboxes)

    @property
    def faults(self) -> dict[str, int]:
        """How many of each kind there are; a kind without any is left out."""
        summed = _summed(outbox.faults for outbox in self.outboxes)
        return {kind: count for kind, count in summed.items() if count}

    @property
    def holds(self) -> bool:
        """Whether every face that is known of is accounted for, and every object is what it should be."""
        return not self.faults

    @property
    def proven(self) -> bool:
        """Whether a ledger stands behind that for each outbox: the bucket alone does not know its newest faces."""
        return self.holds and all(outbox.ledger for outbox in self.outboxes)

    @property
    def verdict(self) -> str:
        """The result in one line."""
        captured = self.counts().get("captured", 0)
        if self.holds and not self.proven:
            return f"no fault: {captured} captured or more; without a ledger of each outbox the equation is not proven"
        if self.holds:
            return f"the equation holds: {captured} captured, none lost"
        faults = ", ".join(f"{count} {kind}" for kind, count in self.faults.items())
        return f"the equation does not hold: {captured} captured, {faults}"

    def document(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {
            "holds": self.holds,
            "proven": self.proven,
            "verdict": self.verdict,
            "from": self.since.isoformat() if self.since else None,
            "to": self.until.isoformat() if self.until else None,
            "objects_read": self.read,
            "faults": self.faults,
            "counts": self.counts(),
            "edges": [
                {
                    "edge": edge.edge,
                    "counts": edge.counts(),
                    "outboxes": [outbox.document() for outbox in edge.outboxes],
                }
                for edge in self.edges
            ],
            "quarantine": dict(self.quarantine),
            "bare_images": self.bare_images,
            "foreign": list(self.foreign),
            "not_judged": list(self.not_judged),
        }


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)
