"""Audit one outbox.

It balances if captured = stored + waiting + refused + expired + erased; the difference is missing. It is proven if
each number that was ever given is accounted for.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from face_app.cloud.audit.evidence import Evidence
from face_app.cloud.audit.gaps import Bounds, GapClassifier, Gaps
from face_app.cloud.audit.names import OutboxName
from face_app.cloud.audit.report import OutboxReport, Unproven, WrongObject
from face_app.cloud.audit.scope import Scope
from face_app.cloud.audit.spans import Span, gaps_between, merge
from face_app.cloud.audit.twice import given_twice, unseen_from
from face_app.cloud.bucket.expiry import ExpiryRules
from face_app.cloud.bucket.face_key_parts import HOUR, hour_of

NEWER = "given after the ledger was written, and without an object; export the ledger again"
NO_LEDGER = (
    "no ledger was given: whether a gap is waiting, refused, expired or lost, and whether the newest faces arrived"
)
NO_LAST = "the ledger does not say how many numbers this outbox gave; newer faces may be lost"
NO_OPENINGS = "the ledger has no openings to compare with the marks; export it with the present version"


@dataclass
class _Classified:
    """Collects the classified faces of one outbox; see `OutboxReport`."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    expired: Counter[str] = field(default_factory=Counter)
    deleted: int = 0
    missing: list[int] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    erased_but_there: list[str] = field(default_factory=list)

    @property
    def accounted(self) -> int:
        """Return the number of faces whose whereabouts are known."""
        found = self.counts["stored"] + self.counts["waiting"] + self.counts["erased"]
        return found + self.deleted + self.refused.total() + self.expired.total()


class OutboxAudit:
    """Compares the objects of one outbox with its ledger entries and marks."""

    def __init__(
        self,
        name: OutboxName,
        evidence: Evidence,
        *,
        scope: Scope,
        rules: ExpiryRules,
        left: frozenset[str] = frozenset(),
    ) -> None:
        """Prepare the comparison.

        Args:
            name: Edge and id of the outbox.
            evidence: What is known about it.
            scope: Faces to audit.
            rules: Expiry rules of the bucket.
            left: Keys of objects that a tombstone covers.
        """
        self._left = left
        self._name = name
        self._index = evidence.index
        self._elsewhere = evidence.elsewhere
        self._ledger = evidence.ledger
        self._marks = evidence.marks
        self._scope = scope
        self._rules = rules
        self._entries = self._ledger.entries if self._ledger else {}
        self._listed = self._index.objects.keys() | self._index.erased.keys()
        self._known = self._entries.keys() | self._listed
        self._marked = max((mark.last for mark in self._marks), default=0)
        self._sequences = sorted(sequence for sequence in self._known if self._in_scope(sequence))

    def objects_to_read(self) -> Iterator[tuple[str, str | None]]:
        """Yield the key of each object to read, with its SHA-256 in the ledger or None."""
        for sequence in self._sequences:
            entry = self._entries.get(sequence)
            for key in self._keys_of(sequence):
                yield key, entry.sha256 if entry and entry.key == key else None

    def report(self, reasons_by_key: Mapping[str, str]) -> OutboxReport | None:
        """Classify each face; return None if nothing in scope is known.

        Args:
            reasons_by_key: Why an object has wrong content, by its key.
        """
        if not (self._sequences or self._ledger or self._marks):
            return None
        faces = _Classified()
        for sequence in self._sequences:
            self._classify(sequence, faces)
        unaccounted = self._not_in_ledger()
        missing = merge([*(Span(sequence, sequence) for sequence in faces.missing), *unaccounted.missing])
        gaps = self._gaps()
        # Without a ledger only holes in the bucket's numbers can show that a face existed.
        lost = missing if self._ledger else gaps
        unproven = sum(each.count for each in unaccounted.unproven)
        expired = faces.expired + unaccounted.expired
        deleted = unaccounted.deleted + faces.deleted
        found = faces.accounted + unaccounted.expired.total() + unaccounted.deleted
        coverages = self._ledger.coverages if self._ledger else []
        return OutboxReport(
            edge=self._name.edge,
            outbox=self._name.outbox,
            has_ledger=self._ledger is not None,
            captured=found + unproven + sum(span.count for span in lost),
            stored=faces.counts["stored"],
            under_way=faces.counts["under_way"],
            waiting=faces.counts["waiting"],
            refused=faces.refused,
            expired=expired,
            erased=faces.counts["erased"],
            deleted_by_rule=deleted,
            newer=faces.counts["newer"],
            mark=self._marked,
            gaps=tuple(gaps),
            missing=tuple(missing),
            given_twice=tuple(given_twice(self._marks, coverages)),
            unseen_from=tuple(unseen_from(self._marks, coverages)),
            unproven=(*unaccounted.unproven, *self._doubts()),
            unproven_count=unproven,
            outside=unaccounted.outside,
            wrong=tuple(self._wrong_objects(reasons_by_key)),
            duplicates=tuple(self._duplicates()),
            unknown=tuple(faces.unknown),
            erased_but_there=tuple(faces.erased_but_there),
            ledger_at=self._ledger.written_at if self._ledger else None,
        )

    def _classify(self, sequence: int, faces: _Classified) -> None:
        """Add one face to its class."""
        entry = self._entries.get(sequence)
        keys = self._keys_of(sequence)
        recorded = sequence in self._index.erased or (entry and entry.state == "erased")
        if recorded or self._left.intersection(keys):
            faces.counts["erased"] += 1
            faces.erased_but_there += keys
        elif keys and entry is None and self._ledger and sequence > self._ledger.last:
            # captured after the ledger was written
            faces.counts["newer"] += 1
        elif keys:
            faces.counts["stored"] += 1
            if entry and entry.state != "stored":
                # the bucket has it; the ledger was written before the receipt came
                faces.counts["under_way"] += 1
            if entry is None and self._ledger and self._ledger.covers(sequence, keys[0]):
                faces.unknown += keys
        elif entry and entry.state == "stored":
            if self._rules.have_deleted(entry.key, entry.settled_at or entry.captured_at):
                faces.deleted += 1
            else:
                faces.missing.append(sequence)
        elif entry and entry.state == "waiting":
            faces.counts["waiting"] += 1
        elif entry and entry.state == "refused":
            faces.refused[entry.reason] += 1
        elif entry and entry.state == "expired":
            faces.expired[entry.reason] += 1

    def _in_scope(self, sequence: int) -> bool:
        if entry := self._entries.get(sequence):
            return self._scope.contains_entry(entry)
        return self._scope.contains_key(self._key(sequence))

    def _key(self, sequence: int) -> str:
        if entry := self._entries.get(sequence):
            return entry.key
        return self._index.objects.get(sequence) or self._index.erased[sequence]

    def _keys_of(self, sequence: int) -> list[str]:
        """Return all keys of one face; under the name of another edge only the one in the ledger."""
        keys = self._index.keys_of(sequence)
        entry = self._entries.get(sequence)
        if not keys and entry and entry.key in self._elsewhere.get(sequence, ()):
            return [entry.key]
        return keys

    def _not_in_ledger(self) -> Gaps:
        """Classify the allocated numbers with neither entry nor object.

        A ledger prunes only stored faces and names the expired ones, so any other number must have an object.
        """
        gaps = Gaps()
        if self._ledger is None:
            return gaps
        classifier = GapClassifier(self._name.edge, pruned=self._ledger.pruned, elsewhere=self._elsewhere)
        for span in gaps_between(self._known, 1, self._ledger.last):
            classifier.classify(span, self._bounds(span), self._scope, self._rules, gaps)
        return gaps

    def _newer_without_object(self) -> Iterator[Unproven]:
        """Yield the numbers that the ledger is too old to list, and that have no object."""
        if self._ledger is None:
            return
        newer = [sequence for sequence in self._listed if sequence > self._ledger.last]
        for span in gaps_between(newer, self._ledger.last + 1, max(self._marked, max(newer, default=0))):
            bounds = self._bounds(span)
            if self._scope.may_contain(bounds.earliest, bounds.latest):
                yield Unproven(span, NEWER)

    def _bounds(self, span: Span) -> Bounds:
        """Return the times of the known faces before and after a gap."""
        before, after = span.first - 1, span.last + 1
        return Bounds(
            earliest=self._captured(before)[0] if before in self._known else None,
            latest=self._captured(after)[1] if after in self._known else None,
        )

    def _captured(self, sequence: int) -> tuple[datetime, datetime]:
        """Return the earliest and the latest possible capture time of a known face."""
        if entry := self._entries.get(sequence):
            return entry.captured_at, entry.captured_at
        hour = hour_of(self._key(sequence))
        return hour, hour + HOUR - timedelta.resolution

    def _doubts(self) -> Iterator[Unproven]:
        """Yield the reasons why this outbox is not proven, besides numbers up to the ledger's last one."""
        yield from self._newer_without_object()
        if self._ledger is None:
            yield Unproven(None, NO_LEDGER)
        elif not self._ledger.coverages:
            yield Unproven(None, NO_LAST)
        elif self._marked and not any(coverage.lists_openings for coverage in self._ledger.coverages):
            yield Unproven(None, NO_OPENINGS)

    def _gaps(self) -> list[Span]:
        """Return the sequence numbers that the bucket lists neither as an object nor as erased."""
        if not self._scope.ranged:
            newest = 0 if self._ledger else self._marked
            return gaps_between(self._listed, 1, max(newest, max(self._listed, default=0)))
        seen = [sequence for sequence in self._sequences if sequence in self._listed]
        return gaps_between(self._listed, seen[0], seen[-1]) if seen else []

    def _wrong_objects(self, reasons_by_key: Mapping[str, str]) -> Iterator[WrongObject]:
        """Yield the objects with wrong content, and those whose key differs from the ledger."""
        for sequence in self._sequences:
            entry = self._entries.get(sequence)
            keys = self._keys_of(sequence)
            yield from (WrongObject(key, reasons_by_key[key]) for key in keys if key in reasons_by_key)
            # An object with wrong content is reported once, not for its key too.
            if entry and keys and entry.key not in keys and keys[0] not in reasons_by_key:
                yield WrongObject(keys[0], f"its key in the ledger is {entry.key}")

    def _duplicates(self) -> Iterator[tuple[str, ...]]:
        """Yield the keys of each face that has more than one, in the bucket or in the ledgers."""
        contradicted = self._ledger.contradicted if self._ledger else {}
        for sequence in self._sequences:
            keys = {*self._index.duplicates.get(sequence, ()), *contradicted.get(sequence, ())}
            if keys:
                yield tuple(sorted(keys))
