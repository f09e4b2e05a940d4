"""Audit one outbox: captured = stored + waiting + refused + expired + erased."""

from collections import Counter
from collections.abc import Iterator, Mapping

from face_app.cloud.audit.ledgers import OutboxLedger
from face_app.cloud.audit.listing import BucketIndex
from face_app.cloud.audit.report import OutboxReport, Wrong
from face_app.cloud.audit.scope import Scope
from face_app.cloud.audit.spans import Span, gaps_between, merge


class OutboxAudit:
    """Compares the objects of one outbox with its ledger entries."""

    def __init__(self, outbox: str, objects: BucketIndex, ledger: OutboxLedger | None, scope: Scope) -> None:
        """Prepare the comparison.

        Args:
            outbox: Id of the outbox.
            objects: Its objects in the bucket.
            ledger: Its ledger entries; None if no ledger was given.
            scope: Faces to audit.
        """
        self._outbox = outbox
        self._objects = objects
        self._ledger = ledger
        self._scope = scope
        self._entries = ledger.entries if ledger else {}
        known = self._entries.keys() | objects.objects.keys() | objects.erased.keys()
        self._faces = sorted(number for number in known if self._in_scope(number))

    def claims(self) -> Iterator[tuple[str, str | None]]:
        """Yield the key of each object to read, with its SHA-256 in the ledger or None."""
        for number in self._faces:
            entry = self._entries.get(number)
            for key in self._objects.keys(number):
                yield key, entry.sha256 if entry and entry.key == key else None

    def report(self, wrong: Mapping[str, str]) -> OutboxReport | None:
        """Classify each face; return None if no face is in scope.

        Args:
            wrong: Reasons by key for objects with wrong content.
        """
        counts: Counter[str] = Counter()
        reasons: dict[str, Counter[str]] = {"refused": Counter(), "expired": Counter()}
        faults: dict[str, list[str]] = {"unknown": [], "reappeared_after_erasure": []}
        missing: list[Span] = []
        for number in self._faces:
            entry = self._entries.get(number)
            keys = self._objects.keys(number)
            if number in self._objects.erased or (entry and entry.state == "erased"):
                counts["erased"] += 1
                faults["reappeared_after_erasure"] += keys
            elif keys and entry is None and self._ledger and number > self._ledger.last:
                counts["newer"] += 1
            elif keys:
                counts["stored"] += 1
                if entry and entry.state != "stored":
                    counts["under_way"] += 1
                if entry is None and self._ledger and self._ledger.must_contain(number, keys[0]):
                    faults["unknown"] += keys
            elif entry and entry.state == "stored":
                missing.append(Span(number, number))
            elif entry and entry.state == "waiting":
                counts["waiting"] += 1
            elif entry:
                reasons[entry.state][entry.reason] += 1
        missing_spans = merge([*missing, *self._not_in_ledger()])
        gaps = self._gaps()
        if not (self._faces or missing_spans):
            return None
        accounted = counts["stored"] + counts["waiting"] + counts["erased"]
        accounted += sum(each.total() for each in reasons.values())
        return OutboxReport(
            edge=self._edge(),
            outbox=self._outbox,
            ledger=self._ledger is not None,
            captured=accounted + sum(span.count for span in (missing_spans if self._ledger else gaps)),
            stored=counts["stored"],
            under_way=counts["under_way"],
            waiting=counts["waiting"],
            refused=reasons["refused"],
            expired=reasons["expired"],
            erased=counts["erased"],
            newer=counts["newer"],
            gaps=tuple(gaps),
            missing=tuple(missing_spans),
            wrong=tuple(self._wrong(wrong)),
            duplicates=tuple(self._duplicates()),
            unknown=tuple(faults["unknown"]),
            reappeared_after_erasure=tuple(faults["reappeared_after_erasure"]),
        )

    def _in_scope(self, number: int) -> bool:
        if entry := self._entries.get(number):
            return self._scope.contains_entry(entry)
        return self._scope.contains_key(self._key(number))

    def _key(self, number: int) -> str:
        if entry := self._entries.get(number):
            return entry.key
        return self._objects.objects.get(number) or self._objects.erased[number]

    def _edge(self) -> str:
        if self._ledger:
            return self._ledger.edge
        return self._key(self._faces[-1]).split("/")[0]

    def _not_in_ledger(self) -> list[Span]:
        """Return the allocated numbers that have neither entry nor object: a ledger prunes only stored faces."""
        if self._ledger is None:
            return []
        known = self._entries.keys() | self._objects.objects.keys() | self._objects.erased.keys()
        if not self._scope.ranged:
            return gaps_between(known, 1, self._ledger.last)
        return gaps_between(known, self._faces[0], min(self._faces[-1], self._ledger.last)) if self._faces else []

    def _gaps(self) -> list[Span]:
        """Return the numbers that the bucket lists neither as an object nor as erased."""
        listed = self._objects.objects.keys() | self._objects.erased.keys()
        if not self._scope.ranged:
            return gaps_between(listed, 1, max(listed, default=0))
        seen = [number for number in self._faces if number in listed]
        return gaps_between(listed, seen[0], seen[-1]) if seen else []

    def _wrong(self, wrong: Mapping[str, str]) -> Iterator[Wrong]:
        """Yield the objects with wrong content, and those whose key differs from the ledger."""
        for number in self._faces:
            entry = self._entries.get(number)
            keys = self._objects.keys(number)
            yield from (Wrong(key, wrong[key]) for key in keys if key in wrong)
            if entry and keys and entry.key not in keys and keys[0] not in wrong:
                yield Wrong(keys[0], f"its key in the ledger is {entry.key}")

    def _duplicates(self) -> Iterator[tuple[str, ...]]:
        """Yield the keys of each face that has more than one, in the bucket or in the ledgers."""
        contradicted = self._ledger.contradicted if self._ledger else {}
        for number in self._faces:
            keys = {*self._objects.copies.get(number, ()), *contradicted.get(number, ())}
            if keys:
                yield tuple(sorted(keys))
