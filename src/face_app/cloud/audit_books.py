"""The ledgers of the edges, by outbox."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from face_app.cloud.audit_scope import Scope, hour_of
from face_app.ledger import EdgeLedger, LedgerEntry

_RANK = ("waiting", "refused", "expired", "stored", "erased")
"""A later state beats an earlier one where two ledgers, written at different times, know one face."""


@dataclass
class Book:
    """What the ledgers know of one outbox.

    Attributes:
        edge: Whose it is.
        last: The last sequence it had given when its ledger was written.
        complete_since: As in `EdgeLedger`.
        entries: By sequence.
        contradicted: Keys of faces that two ledgers know under one id.
    """

    edge: str
    last: int
    complete_since: datetime | None
    entries: dict[int, LedgerEntry] = field(default_factory=dict)
    contradicted: dict[int, set[str]] = field(default_factory=dict)

    def add(self, entry: LedgerEntry) -> None:
        """Take note of a face."""
        sequence = entry.id.sequence
        known = self.entries.get(sequence)
        if known and known.sha256 != entry.sha256:
            self.contradicted.setdefault(sequence, {known.key}).add(entry.key)
        if known is None or _RANK.index(entry.state) > _RANK.index(known.state):
            self.entries[sequence] = entry
        self.last = max(self.last, sequence)

    def may_lack(self, key: str) -> bool:
        """Whether a stored face may have left the ledger, by the hour in its key."""
        return self.complete_since is not None and hour_of(key) < self.complete_since


@dataclass(frozen=True)
class Books:
    """All ledgers together.

    Attributes:
        outboxes: By the outbox's id.
        left_out: Edges whose ledgers are not asked for.
    """

    outboxes: dict[str, Book]
    left_out: tuple[str, ...]


def open_books(ledgers: Iterable[EdgeLedger], scope: Scope) -> Books:
    """Read ledgers to their ends.

    Raises:
        LedgerError: A line is not a face.
    """
    outboxes: dict[str, Book] = {}
    left_out = []
    for ledger in ledgers:
        if scope.edge not in {None, ledger.edge}:
            left_out.append(ledger.edge)
            continue
        for outbox, last in ledger.outboxes.items():
            book = outboxes.setdefault(outbox, Book(ledger.edge, last, ledger.complete_since))
            book.last = max(book.last, last)
            book.complete_since = _earlier(book.complete_since, ledger.complete_since)
        for entry in ledger.entries:
            book = outboxes.get(entry.id.outbox) or outboxes.setdefault(
                entry.id.outbox, Book(ledger.edge, 0, ledger.complete_since)
            )
            book.add(entry)
    return Books(outboxes, tuple(left_out))


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(one, other) if one and other else None
