"""Audit one outbox.

It balances if captured = stored + waiting + refused + expired + erased; the difference is missing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from face_app.cloud.audit.ledgers import OutboxLedger
from face_app.cloud.audit.listing import BucketIndex
from face_app.cloud.audit.report import OutboxReport, WrongObject
from face_app.cloud.audit.scope import Scope
from face_app.cloud.audit.spans import Span, gaps_between, merge


@dataclass
class _Classified:
    """Collects the classified faces of one outbox; see `OutboxReport`."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    expired: Counter[str] = field(default_factory=Counter)
    missing: list[int] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    reappeared: list[str] = field(default_factory=list)

    @property
    def accounted(self) -> int:
        """Return the number of faces whose whereabouts are known."""
        found = self.counts["stored"] + self.counts["waiting"] + self.counts["erased"]
        return found + self.refused.total() + self.expired.total()


class OutboxAudit:
    """Compares the objects of one outbox with its ledger entries."""

    def __init__(self, outbox: str, *, index: BucketIndex, ledger: OutboxLedger | None, scope: Scope) -> None:
        """Prepare the comparison.

        Args:
            outbox: Id of the outbox.
            index: Objects of the outbox in the bucket.
            ledger: Ledger entries of the outbox; None if no ledger was given.
            scope: Faces to audit.
        """
        self._outbox = outbox
        self._index = index
        self._ledger = ledger
        self._scope = scope
        self._entries = ledger.entries if ledger else {}
        self._listed = index.objects.keys() | index.erased.keys()
        self._known = self._entries.keys() | self._listed
        self._sequences = sorted(sequence for sequence in self._known if self._in_scope(sequence))

    def objects_to_read(self) -> Iterator[tuple[str, str | None]]:
        """Yield the key of each object to read, with its SHA-256 in the ledger or None."""
        for sequence in self._sequences:
            entry = self._entries.get(sequence)
            for key in self._index.keys_of(sequence):
                yield key, entry.sha256 if entry and entry.key == key else None

    def report(self, reasons_by_key: Mapping[str, str]) -> OutboxReport | None:
        """Classify each face; return None if no face is in scope.

        Args:
            reasons_by_key: Why an object has wrong content, by its key.
        """
        faces = _Classified()
        for sequence in self._sequences:
            self._classify(sequence, faces)
        missing = merge([*(Span(sequence, sequence) for sequence in faces.missing), *self._not_in_ledger()])
        if not (self._sequences or missing):
            return None
        gaps = self._gaps()
        # Without a ledger only holes in the bucket's numbers can show that a face existed.
        lost = missing if self._ledger else gaps
        return OutboxReport(
            edge=self._edge(),
            outbox=self._outbox,
            ledger=self._ledger is not None,
            captured=faces.accounted + sum(span.count for span in lost),
            stored=faces.counts["stored"],
            under_way=faces.counts["under_way"],
            waiting=faces.counts["waiting"],
            refused=faces.refused,
            expired=faces.expired,
            erased=faces.counts["erased"],
            newer=faces.counts["newer"],
            gaps=tuple(gaps),
            missing=tuple(missing),
            wrong=tuple(self._wrong_objects(reasons_by_key)),
            duplicates=tuple(self._duplicates()),
            unknown=tuple(faces.unknown),
            reappeared_after_erasure=tuple(faces.reappeared),
        )

    def _classify(self, sequence: int, faces: _Classified) -> None:
        """Add one face to its class."""
        entry = self._entries.get(sequence)
        keys = self._index.keys_of(sequence)
        if sequence in self._index.erased or (entry and entry.state == "erased"):
            faces.counts["erased"] += 1
            faces.reappeared += keys
        elif keys and entry is None and self._ledger and sequence > self._ledger.last:
            # captured after the ledger was written
            faces.counts["newer"] += 1
        elif keys:
            faces.counts["stored"] += 1
            if entry and entry.state != "stored":
                # the bucket has it; the ledger was written before the receipt came
                faces.counts["under_way"] += 1
            if entry is None and self._ledger and self._ledger.must_contain(sequence, keys[0]):
                faces.unknown += keys
        elif entry and entry.state == "stored":
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

    def _edge(self) -> str:
        if self._ledger:
            return self._ledger.edge
        return self._key(self._sequences[-1]).split("/")[0]

    def _not_in_ledger(self) -> list[Span]:
        """Return the allocated numbers with neither entry nor object.

        A ledger prunes only stored faces, so a pruned face must have an object.
        """
        if self._ledger is None:
            return []
        if not self._scope.ranged:
            return gaps_between(self._known, 1, self._ledger.last)
        if not self._sequences:
            return []  # no face dates a number, so no number is known to be in the time range
        return gaps_between(self._known, self._sequences[0], min(self._sequences[-1], self._ledger.last))

    def _gaps(self) -> list[Span]:
        """Return the sequence numbers that the bucket lists neither as an object nor as erased."""
        if not self._scope.ranged:
            return gaps_between(self._listed, 1, max(self._listed, default=0))
        seen = [sequence for sequence in self._sequences if sequence in self._listed]
        return gaps_between(self._listed, seen[0], seen[-1]) if seen else []

    def _wrong_objects(self, reasons_by_key: Mapping[str, str]) -> Iterator[WrongObject]:
        """Yield the objects with wrong content, and those whose key differs from the ledger."""
        for sequence in self._sequences:
            entry = self._entries.get(sequence)
            keys = self._index.keys_of(sequence)
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
