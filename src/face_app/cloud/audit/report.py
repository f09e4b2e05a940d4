"""Define the result of an audit."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from face_app.cloud.audit.spans import Span
from face_app.common.errors import AuditError, UnprovenError

WITHOUT_LEDGER = {"captured", "stored", "erased"}
"""Counts that an audit knows without a ledger. The number of captured faces is a lower bound then."""


@dataclass(frozen=True)
class WrongObject:
    """Describes an object that differs from its key or its ledger entry.

    Attributes:
        key: Key of the object.
        why: Reason in a few words.
    """

    key: str
    why: str


@dataclass(frozen=True)
class Unproven:
    """Describes faces that may be lost.

    Attributes:
        numbers: Sequence numbers of the faces; None: the reason concerns the whole outbox.
        why: Reason, and what to do.
    """

    numbers: Span | None
    why: str

    @property
    def count(self) -> int:
        """Return how many numbers are named."""
        return self.numbers.count if self.numbers else 0

    def __str__(self) -> str:
        return f"{self.numbers}: {self.why}" if self.numbers else self.why


@dataclass(frozen=True)
class OutboxReport:
    """Counts the faces of one outbox, each once, and lists the faults.

    The equation: captured = stored + waiting + refused + expired + erased + deleted by rule + missing + unproven.

    Attributes:
        edge: Name of the edge.
        outbox: Id of the outbox.
        has_ledger: True if a ledger was given; otherwise only the counts of the bucket are known.
        ledger_at: Time of the ledger by the clock of the edge (aware); None: no ledger, or an earlier version wrote it.
        mark: Highest number that a subscriber has seen in the edge's status; 0: none.

    Counts:
        captured: Number of allocated sequence numbers; a lower bound if no ledger was given.
        stored: Number of faces with an object.
        under_way: Number of stored faces that the edge still lists as waiting, refused or expired.
        waiting: Number of faces that wait at the edge.
        refused: Number of refused faces by reason.
        expired: Number of waiting faces given up, by reason: evicted by the quota, or damaged.
        erased: Number of faces erased on request.
        deleted_by_rule: Number of faces without an object that are older than the bucket's expiry rule allows.
        unproven_count: Number of faces that may be lost and that the ledger has allocated.
        newer: Number of faces captured after the ledger was written. They are in no other count.
        outside: Number of numbers without entry and object that the times of their neighbours place outside the time
            range. They are in no other count.

    Faults and doubts:
        missing: Sequence numbers of stored faces without an object, and those that the ledger does not contain.
        gaps: Sequence numbers without an object in the bucket. They are a fault only without a ledger; with one,
            `missing` has those that it does not explain.
        given_twice: Sequence numbers that the outbox gave to two faces each: it was restored from a copy,
            or runs twice.
        wrong: Objects with a wrong key or wrong bytes.
        duplicates: Keys of each face that has more than one.
        unknown: Keys of objects that the ledger must contain, but does not.
        erased_but_there: Keys of objects of erased faces, by a record, a ledger or a tombstone.
        unproven: Faces that may be lost.
        unseen_from: First number after each opening. A restored disk may have lost faces from there on, and no record
            would show it.
    """

    edge: str
    outbox: str
    has_ledger: bool
    captured: int
    stored: int
    under_way: int
    waiting: int
    refused: Counter[str]
    expired: Counter[str]
    erased: int
    deleted_by_rule: int
    newer: int
    mark: int
    gaps: tuple[Span, ...]
    missing: tuple[Span, ...]
    given_twice: tuple[Span, ...]
    unseen_from: tuple[int, ...]
    unproven: tuple[Unproven, ...]
    unproven_count: int
    outside: int
    wrong: tuple[WrongObject, ...]
    duplicates: tuple[tuple[str, ...], ...]
    unknown: tuple[str, ...]
    erased_but_there: tuple[str, ...]
    ledger_at: datetime | None = None

    @property
    def faults(self) -> dict[str, int]:
        """Return the number of faults by kind."""
        return {
            "missing": sum(span.count for span in self.missing),
            "given twice": sum(span.count for span in self.given_twice),
            "unexplained": 0 if self.has_ledger else sum(span.count for span in self.gaps),
            "wrong": len(self.wrong),
            "duplicated": len(self.duplicates),
            "unknown to the ledger": len(self.unknown),
            "erased but there": len(self.erased_but_there),
        }

    def document(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "outbox": self.outbox,
            "ledger": self.has_ledger,
            "ledger_at": self.ledger_at and self.ledger_at.isoformat(),
            "counts": self.counts(),
            "refused": dict(self.refused),
            "expired": dict(self.expired),
            "gaps": [[span.first, span.last] for span in self.gaps],
            "missing": [[span.first, span.last] for span in self.missing],
            "given_twice": [[span.first, span.last] for span in self.given_twice],
            "unseen_from": list(self.unseen_from),
            "unproven": [
                {"numbers": each.numbers and [each.numbers.first, each.numbers.last], "why": each.why}
                for each in self.unproven
            ],
            "mark": self.mark,
            "wrong": [{"key": each.key, "why": each.why} for each in self.wrong],
            "duplicates": [list(keys) for keys in self.duplicates],
            "unknown": list(self.unknown),
            "erased_but_there": list(self.erased_but_there),
            "faults": self.faults,
        }

    def counts(self) -> dict[str, int | None]:
        """Return the terms of the equation in table order; None for each that needs a ledger, if none was given.

        Without a ledger, `captured` is a lower bound.
        """
        counts = {
            "captured": self.captured,
            "stored": self.stored,
            "under_way": self.under_way,
            "waiting": self.waiting,
            "refused": self.refused.total(),
            "expired": self.expired.total(),
            "erased": self.erased,
            "deleted_by_rule": self.deleted_by_rule,
            "missing": sum(span.count for span in self.missing),
            "unproven": self.unproven_count,
            "newer": self.newer,
        }
        known = counts if self.has_ledger else WITHOUT_LEDGER
        return {name: count if name in known else None for name, count in counts.items()}


@dataclass(frozen=True)
class EdgeReport:
    """Contains the reports of all outboxes of one edge."""

    edge: str
    outboxes: tuple[OutboxReport, ...]

    def counts(self) -> dict[str, int | None]:
        """Return the sums of `OutboxReport.counts`; None if one of the numbers is unknown."""
        return _summed(outbox.counts() for outbox in self.outboxes)


@dataclass(frozen=True)
class AuditReport:
    """Contains the result of one audit.

    Attributes:
        since: Time from which faces are in scope, in JSON `from`; None: no limit.
        until: Time before which faces are in scope, in JSON `to`; None: no limit.
        objects_read: Number of objects read and compared; None: not requested.
        edges: Reports by edge name.
        quarantine: Number of refused messages by reason.
        bare_images: Number of images of the original homework's topic.
        foreign: Keys that are not face-app keys. They are listed and are no fault.
        not_judged: Limits of this audit, one sentence each.
        bad_marks: Why marks cannot be read, one sentence each. The outbox of such a mark is not proven.
    """

    since: datetime | None
    until: datetime | None
    objects_read: int | None
    edges: tuple[EdgeReport, ...]
    quarantine: Counter[str]
    bare_images: int
    foreign: tuple[str, ...]
    not_judged: tuple[str, ...]
    bad_marks: tuple[str, ...] = ()

    @property
    def outboxes(self) -> tuple[OutboxReport, ...]:
        """Return the reports of all outboxes of all edges."""
        return tuple(outbox for edge in self.edges for outbox in edge.outboxes)

    def counts(self) -> dict[str, int | None]:
        """Return the sums of `OutboxReport.counts`; None if one of the numbers is unknown."""
        return _summed(outbox.counts() for outbox in self.outboxes)

    @property
    def faults(self) -> dict[str, int]:
        """Return the number of faults by kind; a kind without a fault is omitted."""
        return {kind: count for kind, count in _totals(outbox.faults for outbox in self.outboxes).items() if count}

    @property
    def refused(self) -> Counter[str]:
        """Return the number of refused faces by reason."""
        return _totals(outbox.refused for outbox in self.outboxes)

    @property
    def expired(self) -> Counter[str]:
        """Return the number of waiting faces given up, by reason."""
        return _totals(outbox.expired for outbox in self.outboxes)

    @property
    def balanced(self) -> bool:
        """Return True if every known face is accounted for and every object is correct; in JSON `holds`."""
        return not self.faults

    @property
    def unproven(self) -> tuple[str, ...]:
        """Return what may be lost, one sentence each."""
        each = [f"{report.edge}, outbox {report.outbox}: {why}" for report in self.outboxes for why in report.unproven]
        if not self.edges:
            each = ["no face, ledger or mark was found: check bucket, edge and times"]
        return (*each, *self.bad_marks)

    @property
    def proven(self) -> bool:
        """Return True if balanced, and every number that was ever given is accounted for."""
        return self.balanced and not self.unproven

    @property
    def exit_code(self) -> int:
        """Return the exit code of the program."""
        if self.proven:
            return 0
        return UnprovenError.exit_code if self.balanced else AuditError.exit_code

    @property
    def verdict(self) -> str:
        """Return the result as one sentence."""
        counts = self.counts()
        captured = counts.get("captured", 0)
        if not self.balanced:
            faults = ", ".join(f"{count} {kind}" for kind, count in self.faults.items())
            return f"the equation does not hold: {captured} captured, {faults}"
        if self.proven:
            expired = self.expired
            lost = f"{expired.total()} expired ({by_reason(expired)})" if expired else "none lost"
            return f"the equation holds: {captured} captured, {lost}"
        if not all(outbox.has_ledger for outbox in self.outboxes):
            return f"no fault, but not proven: {captured} captured or more; export a ledger of each edge, audit again"
        first, *others = self.unproven
        more = f"; and {len(others)} more" if others else ""
        return f"no fault, but not proven: {captured} captured; {first}{more}"

    def document(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "holds": self.balanced,
            "proven": self.proven,
            "verdict": self.verdict,
            "from": self.since.isoformat() if self.since else None,
            "to": self.until.isoformat() if self.until else None,
            "objects_read": self.objects_read,
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
            "unproven": list(self.unproven),
            "not_judged": list(self.not_judged),
        }


def by_reason(counts: Counter[str]) -> str:
    """Describe counts by reason in a few words."""
    return ", ".join(f"{reason or 'no reason given'} {count}" for reason, count in sorted(counts.items()))


def _totals(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return total


def _summed(counts: Iterable[Mapping[str, int | None]]) -> dict[str, int | None]:
    total: dict[str, int | None] = {}
    for each in counts:
        for name, count in each.items():
            before = total.get(name, 0)
            total[name] = None if before is None or count is None else before + count
    return total
