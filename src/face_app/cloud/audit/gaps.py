"""Classify the allocated numbers that have neither a ledger entry nor an object."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate

from face_app.cloud.audit.report import Unproven
from face_app.cloud.audit.scope import Scope
from face_app.cloud.audit.spans import Span, gaps_between
from face_app.cloud.bucket.expiry import ExpiryRules
from face_app.cloud.bucket.face_key_parts import edge_of

IN_RANGE = "may be in the time range; audit a longer one"
DELETED = (
    "the bucket's rule may have deleted them; set outbox.ledger_days of the edge some days above it, so that the "
    "ledger dates them"
)


@dataclass
class Gaps:
    """Collects the classified numbers.

    Attributes:
        missing: Lost.
        expired: Pruned by the edge after they expired, by reason.
        deleted: Number of those that the bucket's rule has deleted.
        unproven: Those that may be lost.
        outside: Number of those outside the time range.
    """

    missing: list[Span] = field(default_factory=list)
    expired: Counter[str] = field(default_factory=Counter)
    deleted: int = 0
    unproven: list[Unproven] = field(default_factory=list)
    outside: int = 0


@dataclass(frozen=True)
class Bounds:
    """Limits the capture time of the faces in a gap, by those before and after it; None: no such face.

    Numbers are given in the order of commits, so the times are near, not exact.
    """

    earliest: datetime | None
    latest: datetime | None


class GapClassifier:
    """Classifies the gaps of one outbox."""

    def __init__(self, edge: str, *, pruned: Mapping[Span, str], elsewhere: Mapping[int, list[str]]) -> None:
        """Prepare the classification.

        Args:
            edge: Name of the edge.
            pruned: Spans of expired faces without an entry, each with its reason.
            elsewhere: Keys with the id of this outbox under names of other edges.
        """
        self._edge = edge
        self._pruned = sorted(pruned.items())
        self._pruned_to = list(accumulate((pruned.last for pruned, _ in self._pruned), max))
        self._elsewhere = elsewhere
        self._claimed = sorted(elsewhere)

    def classify(self, span: Span, bounds: Bounds, scope: Scope, rules: ExpiryRules, gaps: Gaps) -> None:
        """Add the numbers of one gap to their classes."""
        if not scope.may_contain(bounds.earliest, bounds.latest):
            gaps.outside += span.count
            return
        certain = scope.must_contain(bounds.earliest, bounds.latest)
        for part in self._without_pruned(span, gaps, count=certain):
            for rest in self._without_elsewhere(part, gaps):
                if not certain:
                    gaps.unproven.append(Unproven(rest, IN_RANGE))
                elif bounds.latest and rules.have_deleted(f"{self._edge}/", bounds.latest):
                    gaps.deleted += rest.count
                elif self._may_be_deleted(bounds.earliest, rules):
                    gaps.unproven.append(Unproven(rest, DELETED))
                else:
                    gaps.missing.append(rest)

    def _may_be_deleted(self, earliest: datetime | None, rules: ExpiryRules) -> bool:
        prefix = f"{self._edge}/"
        return rules.days(prefix) is not None and (earliest is None or rules.have_deleted(prefix, earliest))

    def _without_pruned(self, span: Span, gaps: Gaps, *, count: bool) -> Iterator[Span]:
        """Yield the parts of a gap that the edge did not prune; count the others."""
        first = span.first
        for pruned, reason in self._pruned[bisect_left(self._pruned_to, first) :]:
            if pruned.first > span.last:
                break
            start, end = max(first, pruned.first), min(span.last, pruned.last)
            if start > end:
                continue
            if first < start:
                yield Span(first, start - 1)
            if count:
                gaps.expired[reason] += end - start + 1
            first = end + 1
        if first <= span.last:
            yield Span(first, span.last)

    def _without_elsewhere(self, span: Span, gaps: Gaps) -> Iterator[Span]:
        """Yield the parts of a gap that no object of another edge claims; name the others."""
        claimed = self._claimed[bisect_left(self._claimed, span.first) : bisect_right(self._claimed, span.last)]
        for number in claimed:
            other = edge_of(self._elsewhere[number][0])
            why = f"an object under {other}/ has it; if {other} is a former name, add --renamed {other}={self._edge}"
            gaps.unproven.append(Unproven(Span(number, number), why))
        yield from gaps_between(claimed, span.first, span.last)
