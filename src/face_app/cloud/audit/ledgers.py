"""Index the ledgers of the edges by outbox."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from face_app.cloud.audit.scope import Scope, hour_of
from face_app.common.ledger_file import EdgeLedger, LedgerEntry

_STATES_IN_ORDER = ("waiting", "refused", "expired", "stored", "erased")
"""Of two ledger entries for one face, the one with the later state counts."""


@dataclass
class OutboxLedger:
    """Contains the ledger entries of one outbox.

    Attributes:
        edge: Name of the edge.
        last: Highest allocated sequence number.
        coverage: One (last sequence number, complete since) per ledger. The ledger lists every face up to that number
            that was captured since then; None: since ever.
        entries: Entries by sequence number.
        contradicted: By sequence number, the keys of entries that have the same id but different hashes.
    """

    edge: str
    last: int = 0
    coverage: list[tuple[int, datetime | None]] = field(default_factory=list)
    entries: dict[int, LedgerEntry] = field(default_factory=dict)
    contradicted: dict[int, set[str]] = field(default_factory=dict)

    def add(self, entry: LedgerEntry) -> None:
        """Add a face."""
        sequence = entry.id.sequence
        known = self.entries.get(sequence)
        if known and known.sha256 != entry.sha256:
            self.contradicted.setdefault(sequence, {known.key}).add(entry.key)
        if known is None or _STATES_IN_ORDER.index(entry.state) > _STATES_IN_ORDER.index(known.state):
            self.entries[sequence] = entry
        self.last = max(self.last, sequence)

    def must_contain(self, sequence: int, key: str) -> bool:
        """Return True if a ledger must contain an object, by its sequence number and the hour in its key."""
        return any(
            sequence <= last and (complete_since is None or hour_of(key) >= complete_since)
            for last, complete_since in self.coverage
        )


@dataclass(frozen=True)
class LedgerIndex:
    """Contains all ledgers in scope.

    Attributes:
        outboxes: Ledgers by outbox id.
        left_out: Edges whose ledgers are out of scope.
    """

    outboxes: dict[str, OutboxLedger]
    left_out: tuple[str, ...]


def index_ledgers(ledgers: Iterable[EdgeLedger], scope: Scope) -> LedgerIndex:
    """Read ledgers to their end and index the entries of those in scope.

    Raises:
        LedgerError: A line is invalid.
    """
    outboxes: dict[str, OutboxLedger] = {}
    left_out: list[str] = []
    for ledger in ledgers:
        if scope.edge not in {None, ledger.edge}:
            left_out.append(ledger.edge)
            continue
        for outbox, last in ledger.outboxes.items():
            known = outboxes.setdefault(outbox, OutboxLedger(ledger.edge))
            known.last = max(known.last, last)
            known.coverage.append((last, ledger.complete_since))
        for entry in ledger.entries:
            outbox = entry.id.outbox
            if outbox not in outboxes:  # the header of the ledger may not list it
                outboxes[outbox] = OutboxLedger(ledger.edge)
            outboxes[outbox].add(entry)
    return LedgerIndex(outboxes, tuple(left_out))
