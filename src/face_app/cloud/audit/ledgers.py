"""Index the ledgers of the edges by outbox."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from face_app.cloud.audit.scope import Scope, hour_of
from face_app.common.ledger_file import EdgeLedger, LedgerEntry

_STATES_IN_ORDER = ("waiting", "refused", "expired", "stored", "erased")
"""Of two ledger entries for one face, the one with the later state counts: ledgers may be of different age."""


@dataclass(frozen=True)
class Coverage:
    """Limits the faces that one ledger lists completely.

    Attributes:
        last: Highest sequence number of the outbox when the ledger was written.
        complete_since: The ledger lists every face captured since then, up to `last`; None: every face up to `last`.
    """

    last: int
    complete_since: datetime | None

    def contains(self, sequence: int, key: str) -> bool:
        """Return True if the ledger lists every face with this sequence number and the hour in this key."""
        return sequence <= self.last and (self.complete_since is None or hour_of(key) >= self.complete_since)


@dataclass
class OutboxLedger:
    """Contains the ledger entries of one outbox.

    Attributes:
        edge: Name of the edge.
        last: Highest allocated sequence number.
        coverages: One per ledger.
        entries: Entries by sequence number.
        contradicted: By sequence number, the keys of entries with the same id but different hashes. The audit reports
            them as duplicates.
    """

    edge: str
    last: int = 0
    coverages: list[Coverage] = field(default_factory=list)
    entries: dict[int, LedgerEntry] = field(default_factory=dict)
    contradicted: dict[int, set[str]] = field(default_factory=dict)

    def add(self, entry: LedgerEntry) -> None:
        """Add a face. If ledgers list it twice, the entry with the later state counts."""
        sequence = entry.id.sequence
        known = self.entries.get(sequence)
        if known and known.sha256 != entry.sha256:
            self.contradicted.setdefault(sequence, {known.key}).add(entry.key)
        if known is None or _STATES_IN_ORDER.index(entry.state) > _STATES_IN_ORDER.index(known.state):
            self.entries[sequence] = entry
        self.last = max(self.last, sequence)

    def must_contain(self, sequence: int, key: str) -> bool:
        """Return True if at least one ledger covers an object, by its sequence number and the hour in its key.

        An object that a ledger must contain but does not is unknown to the edge, which is a fault.
        """
        return any(coverage.contains(sequence, key) for coverage in self.coverages)


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
    """Read the ledgers in scope to their end and index their entries.

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
            known.coverages.append(Coverage(last, ledger.complete_since))
        for entry in ledger.entries:
            outbox = entry.id.outbox
            # The header may not list it. Without a coverage, no object of this outbox counts as unknown to the ledger.
            if outbox not in outboxes:
                outboxes[outbox] = OutboxLedger(ledger.edge)
            outboxes[outbox].add(entry)
    return LedgerIndex(outboxes, tuple(left_out))
