"""The equation for one outbox: captured = stored + waiting + refused + expired + erased."""

from collections import Counter
from collections.abc import Iterator, Mapping

from face_app.cloud.audit.ledgers import OutboxLedger
from face_app.cloud.audit.listing import BucketIndex
from face_app.cloud.audit.report import OutboxReport, Wrong
from face_app.cloud.audit.scope import Scope
from face_app.cloud.audit.spans import Span, holes, joined


class OutboxAudit:
    """Holds what the bucket has against what the ledgers know."""

    def __init__(self, outbox: str, shelf: BucketIndex, book: OutboxLedger | None, scope: Scope) -> None:
        """Put both side by side.

        Args:
            outbox: Its id.
            shelf: What the bucket has of it.
            book: What the ledgers know of it; None where none was given.
            scope: Which of its faces count.
        """
        self._outbox = outbox
        self._shelf = shelf
        self._book = book
        self._scope = scope
        self._entries = book.entries if book else {}
        known = self._entries.keys() | shelf.objects.keys() | shelf.erased.keys()
        self._faces = sorted(number for number in known if self._in_scope(number))

    def claims(self) -> Iterator[tuple[str, str | None]]:
        """Each object to read, with the SHA-256 that the ledger has for it, if any."""
        for number in self._faces:
            entry = self._entries.get(number)
            for key in self._shelf.keys(number):
                yield key, entry.sha256 if entry and entry.key == key else None

    def report(self, wrong: Mapping[str, str]) -> OutboxReport | None:
        """Judge each face; None where there is none in scope.

        Args:
            wrong: Keys of objects with wrong content, and why.
        """
        counts: Counter[str] = Counter()
        reasons: dict[str, Counter[str]] = {"refused": Counter(), "expired": Counter()}
        faults: dict[str, list[str]] = {"unknown": [], "revenants": []}
        missing = []
        for number in self._faces:
            entry, keys = self._entries.get(number), self._shelf.keys(number)
            if number in self._shelf.erased or (entry and entry.state == "erased"):
                counts["erased"] += 1
                faults["revenants"] += keys
            elif keys and entry is None and self._book and number > self._book.last:
                counts["newer"] += 1
            elif keys:
                counts["stored"] += 1
                counts["under_way"] += entry is not None and entry.state != "stored"
                if entry is None and self._book and self._book.must_know(number, keys[0]):
                    faults["unknown"] += keys
            elif entry and entry.state == "stored":
                missing.append(Span(number, number))
            elif entry and entry.state == "waiting":
                counts["waiting"] += 1
            elif entry:
                reasons[entry.state][entry.reason] += 1
        lost = joined([*missing, *self._never_entered()])
        gaps = self._gaps()
        if not (self._faces or lost):
            return None
        settled = counts["stored"] + counts["waiting"] + counts["erased"]
        settled += sum(each.total() for each in reasons.values())
        return OutboxReport(
            edge=self._edge(),
            outbox=self._outbox,
            ledger=self._book is not None,
            captured=settled + sum(span.count for span in (lost if self._book else gaps)),
            stored=counts["stored"],
            under_way=counts["under_way"],
            waiting=counts["waiting"],
            refused=reasons["refused"],
            expired=reasons["expired"],
            erased=counts["erased"],
            newer=counts["newer"],
            gaps=tuple(gaps),
            missing=tuple(lost),
            wrong=tuple(self._wrong(wrong)),
            duplicates=tuple(self._duplicates()),
            unknown=tuple(faults["unknown"]),
            reappeared_after_erasure=tuple(faults["revenants"]),
        )

    def _in_scope(self, number: int) -> bool:
        if entry := self._entries.get(number):
            return self._scope.takes_entry(entry)
        return self._scope.takes_key(self._key(number))

    def _key(self, number: int) -> str:
        if entry := self._entries.get(number):
            return entry.key
        return self._shelf.objects.get(number) or self._shelf.erased[number]

    def _edge(self) -> str:
        if self._book:
            return self._book.edge
        return self._key(self._faces[-1]).split("/")[0]

    def _never_entered(self) -> list[Span]:
        """Numbers that were given and are nowhere: an entry is left out of a ledger only for a stored face."""
        if self._book is None:
            return []
        known = self._entries.keys() | self._shelf.objects.keys() | self._shelf.erased.keys()
        if not self._scope.ranged:
            return holes(known, 1, self._book.last)
        return holes(known, self._faces[0], min(self._faces[-1], self._book.last)) if self._faces else []

    def _gaps(self) -> list[Span]:
        listed = self._shelf.objects.keys() | self._shelf.erased.keys()
        if not self._scope.ranged:
            return holes(listed, 1, max(listed, default=0))
        seen = [number for number in self._faces if number in listed]
        return holes(listed, seen[0], seen[-1]) if seen else []

    def _wrong(self, wrong: Mapping[str, str]) -> Iterator[Wrong]:
        for number in self._faces:
            entry, keys = self._entries.get(number), self._shelf.keys(number)
            yield from (Wrong(key, wrong[key]) for key in keys if key in wrong)
            if entry and keys and entry.key not in keys and keys[0] not in wrong:
                yield Wrong(keys[0], f"the ledger has it as {entry.key}")

    def _duplicates(self) -> Iterator[tuple[str, ...]]:
        contradicted = self._book.contradicted if self._book else {}
        for number in self._faces:
            keys = {*self._shelf.copies.get(number, ()), *contradicted.get(number, ())}
            if keys:
                yield tuple(sorted(keys))
