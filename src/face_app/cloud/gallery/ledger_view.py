"""Collect what the bucket alone proves about each outbox, and the last audit of each edge."""

from dataclasses import dataclass
from datetime import datetime

from face_app.cloud.audit.spans import Span
from face_app.cloud.gallery.audit_reports import ReportView
from face_app.cloud.gallery.bucket_facts import BucketFacts, Mark, read_mark
from face_app.cloud.gallery.gallery import Gallery
from face_app.cloud.gallery.index_queries import MAX_SPANS, OutboxFacts


@dataclass(frozen=True)
class OutboxView:
    """Describes one outbox.

    Attributes:
        facts: What its keys prove.
        erased: Number of tombstones.
        mark: Highest number that subscribers have seen.
        published: Highest number that the edge itself published; None if it is unknown.
    """

    facts: OutboxFacts
    erased: int
    mark: Mark
    published: int | None

    @property
    def open_numbers(self) -> int:
        """Return how many numbers have neither an object nor a tombstone: without a ledger their fate is unknown."""
        return max(0, self.facts.missing - self.erased)

    @property
    def behind(self) -> int:
        """Return by how many numbers the bucket is behind the highest number that is known."""
        return max(0, max(self.mark.last or 0, self.published or 0) - self.facts.last)


@dataclass(frozen=True)
class LedgerView:
    """Contains what the page shows.

    Attributes:
        outboxes: By edge and outbox.
        quarantine: Edge, reason and number of refused messages.
        foreign: Number of foreign objects.
        listed_at: Time of the listing behind these figures; None before the first is complete.
        reports: The last audit of each edge that has one.
        unaudited: Names of the other edges.
    """

    outboxes: tuple[OutboxView, ...]
    quarantine: tuple[tuple[str, str, int], ...]
    foreign: int
    listed_at: datetime | None
    reports: tuple[ReportView, ...]
    unaudited: tuple[str, ...]


def ledger_view(gallery: Gallery) -> LedgerView:
    """Collect the view from index, bucket and published states."""
    facts = gallery.filler.facts or BucketFacts()
    published = _published(gallery)
    found = {(outbox.edge, outbox.outbox): outbox for outbox in gallery.queries.outboxes()}
    known = sorted(found.keys() | facts.erased.keys() | facts.marks.keys() | published.keys())
    outboxes = [
        OutboxView(
            found.get(place, OutboxFacts(*place, 0, 0, (), 0)),
            facts.erased[place],
            read_mark(gallery.objects, facts.marks.get(place, ())),
            published.get(place),
        )
        for place in known
    ]
    quarantine = sorted((*place, count) for place, count in facts.quarantine.items())
    reports = gallery.reports.views()
    unaudited = sorted({edge for edge, _ in known} - {report.edge for report in reports})
    return LedgerView(
        tuple(outboxes),
        tuple(quarantine),
        facts.foreign,
        gallery.filler.progress.completed_at,
        tuple(reports),
        tuple(unaudited),
    )


def gaps_text(gaps: tuple[Span, ...]) -> str:
    """Return gaps as text, shortened."""
    text = ", ".join(str(span) for span in gaps[:8])
    return f"{text}, …" if len(gaps) > 8 or len(gaps) == MAX_SPANS else text


def _published(gallery: Gallery) -> dict[tuple[str, str], int]:
    """Return the highest number by edge and outbox, as the states of the cameras say."""
    numbers: dict[tuple[str, str], int] = {}
    for state in gallery.states.states():
        outbox = state.document.get("outbox")
        if isinstance(outbox, dict) and isinstance(outbox.get("id"), str) and isinstance(outbox.get("sequence"), int):
            place = (state.edge, outbox["id"][:8])
            numbers[place] = max(numbers.get(place, 0), outbox["sequence"])
    return numbers
