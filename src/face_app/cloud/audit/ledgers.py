"""The ledgers of the edges, by outbox."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from face_app.cloud.audit.scope import Scope, hour_of
from face_app.common.ledger_file import EdgeLedger, LedgerEntry

_RANK = ("waiting", "refused", "expired", "stored", "erased")
"""A later state beats an earlier one where two ledgers, written at different times, know one face."""


@dataclass
class OutboxLedger:
    """What the ledgers know of one outbox.

    Attributes:
        edge: Whose it is.
        last: The last sequence it is known to have given.
        promises: For each ledger that names it the last sequence, and since when no entry may lack.
        entries: By sequence.
        contradicted: Keys of faces that two ledgers know under one id.
    """

    edge: str
    last: int = 0
    promises: list[tuple[int, datetime | None]] = field(default_factory=list)
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

    def must_know(self, sequence: int, key: str) -> bool:
        """Whether some ledger should have an entry for an object, by its number and the hour in its key."""
        return any(sequence <= last and (since is None or hour_of(key) >= since) for last, since in self.promises)


@dataclass(frozen=True)
class LedgerIndex:
    """All ledgers together.

    Attributes:
        outboxes: By the outbox's id.
        left_out: Edges whose ledgers are not asked for.
    """

    outboxes: dict[str, OutboxLedger]
    left_out: tuple[str, ...]


def open_ledger_index(ledgers: Iterable[EdgeLedger], scope: Scope) -> LedgerIndex:
    """Read ledgers to their ends.

    Raises:
        LedgerError: A line is not a face.
    """
    outboxes: dict[str, OutboxLedger] = {}
    left_out = []
    for ledger in ledgers:
        if scope.edge not in {None, ledger.edge}:
            left_out.append(ledger.edge)
            continue
        for outbox, last in ledger.outboxes.items():
            book = outboxes.setdefault(outbox, OutboxLedger(ledger.edge))
            book.last = max(book.last, last)
            book.promises.append((last, ledger.complete_since))
        for entry in ledger.entries:
            book = outboxes.get(entry.id.outbox) or outboxes.setdefault(entry.id.outbox, OutboxLedger(ledger.edge))
            book.add(entry)
    return LedgerIndex(outboxes, tuple(left_out))
