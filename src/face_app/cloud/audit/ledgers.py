"""Index the ledgers of the edges by edge and outbox.

A ledger is evidence only for its own edge. Its entries may have keys of a former name of the edge.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from face_app.cloud.audit.listing import BucketIndex
from face_app.cloud.audit.names import OutboxName
from face_app.cloud.audit.scope import Scope
from face_app.cloud.audit.spans import Span
from face_app.cloud.bucket.face_key_parts import hour_of
from face_app.cloud.bucket.mark_object import Mark
from face_app.common.ledger_file import EdgeLedger, LedgerEntry

_STATES_IN_ORDER = ("waiting", "refused", "expired", "stored", "erased")
"""Of two ledger entries for one face, the one with the later state counts: ledgers may be of different age."""


@dataclass(frozen=True)
class Coverage:
    """Defines the range of faces that one ledger lists completely.

    Attributes:
        last: Highest sequence number of the outbox when the ledger was written.
        complete_since: The ledger lists every face captured since then, up to `last`; None: every face up to `last`.
        openings: Token and first number of each opening that the ledger lists, in ascending order.
        lists_openings: False if the ledger lists no opening of any outbox: an earlier version wrote it.
    """

    last: int
    complete_since: datetime | None
    openings: tuple[tuple[str, int], ...] = ()
    lists_openings: bool = True

    def contains(self, sequence: int, key: str) -> bool:
        """Return True if the ledger lists every face with this sequence number and the hour in this key."""
        return sequence <= self.last and (self.complete_since is None or hour_of(key) >= self.complete_since)


@dataclass
class OutboxLedger:
    """Collects what all ledgers say about one outbox.

    Attributes:
        last: Highest allocated sequence number.
        coverages: One per ledger.
        entries: Entries by sequence number.
        contradicted: By sequence number, the keys of entries with the same id but different hashes. The audit reports
            them as duplicates.
        pruned: Spans of expired faces without an entry, each with its reason.
        written_at: Time of the newest ledger by the clock of the edge (aware); None if it is unknown.
    """

    last: int = 0
    coverages: list[Coverage] = field(default_factory=list)
    entries: dict[int, LedgerEntry] = field(default_factory=dict)
    contradicted: dict[int, set[str]] = field(default_factory=dict)
    pruned: dict[Span, str] = field(default_factory=dict)
    written_at: datetime | None = None

    def add(self, entry: LedgerEntry) -> None:
        """Add a face. If ledgers list it twice, the entry with the later state counts."""
        sequence = entry.id.sequence
        known = self.entries.get(sequence)
        if known and known.sha256 != entry.sha256:
            self.contradicted.setdefault(sequence, {known.key}).add(entry.key)
        if known is None or _STATES_IN_ORDER.index(entry.state) > _STATES_IN_ORDER.index(known.state):
            self.entries[sequence] = entry
        self.last = max(self.last, sequence)

    def covers(self, sequence: int, key: str) -> bool:
        """Return True if at least one ledger covers an object, by its sequence number and the hour in its key.

        An object that a ledger covers but does not list is unknown to the edge, which is a fault.
        """
        return any(coverage.contains(sequence, key) for coverage in self.coverages)

    def was_renamed_to(self, index: BucketIndex, marks: Iterable[Mark]) -> bool:
        """Return True if the edge was renamed to another name: faces under that name come from this outbox.

        Keys and tokens cannot be guessed, so an edge that lists them has had them. It must list every object that it
        has not pruned: otherwise a ledger with one known key could explain the gaps of another edge.
        """
        tokens = {token for coverage in self.coverages for token, _ in coverage.openings}
        evidence = any(mark.token in tokens for mark in marks)
        for sequence, key in index.objects.items():
            entry = self.entries.get(sequence)
            if entry and entry.key == key:
                evidence = True
            elif entry or self.covers(sequence, key):
                return False
        return evidence


@dataclass(frozen=True)
class LedgerIndex:
    """Finds ledgers by edge and outbox.

    Attributes:
        outboxes: Ledgers by edge and outbox.
        excluded_edges: Edges whose ledgers are out of scope, each once.
    """

    outboxes: dict[OutboxName, OutboxLedger]
    excluded_edges: tuple[str, ...]


def index_ledgers(ledgers: Iterable[EdgeLedger], scope: Scope) -> LedgerIndex:
    """Read the ledgers in scope to their end and index their entries.

    Raises:
        LedgerError: A line is invalid.
    """
    outboxes: dict[OutboxName, OutboxLedger] = {}
    excluded: dict[str, None] = {}
    for ledger in ledgers:
        edge = scope.present_name(ledger.edge)
        if not scope.contains_edge(ledger.edge):
            excluded[ledger.edge] = None
            continue
        for outbox, last in ledger.outboxes.items():
            known = outboxes.setdefault(OutboxName(edge, outbox), OutboxLedger())
            known.last = max(known.last, last)
            known.written_at = max(filter(None, (known.written_at, ledger.written_at)), default=None)
            openings = tuple(ledger.openings.get(outbox, ()))
            known.pruned.update({Span(first, end): reason for first, end, reason in ledger.pruned.get(outbox, ())})
            known.coverages.append(
                Coverage(last, ledger.complete_since, openings, lists_openings=bool(ledger.openings))
            )
        for entry in ledger.entries:
            # The header may not list its outbox. Then it has no coverage: no object counts as unknown to the ledger.
            outboxes.setdefault(OutboxName(edge, entry.id.outbox), OutboxLedger()).add(entry)
    return LedgerIndex(outboxes, tuple(excluded))
