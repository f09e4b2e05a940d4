"""Find runs of missing sequence numbers."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Span:
    """Sequences from first to last, inclusive."""

    first: int
    last: int

    @property
    def count(self) -> int:
        """Number of sequences."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"


def gaps_between(seen: Iterable[int], first: int, last: int) -> list[Span]:
    """Return the runs between `first` and `last` without a number in `seen`."""
    spans, expected = [], first
    for number in sorted(seen):
        if number > last:
            break
        if number > expected:
            spans.append(Span(expected, number - 1))
        expected = max(expected, number + 1)
    if expected <= last:
        spans.append(Span(expected, last))
    return spans


def merge(spans: Iterable[Span]) -> list[Span]:
    """Sort spans without overlap and merge adjacent ones."""
    runs: list[Span] = []
    for span in sorted(spans):
        if runs and runs[-1].last == span.first - 1:
            runs[-1] = Span(runs[-1].first, span.last)
        else:
            runs.append(span)
    return runs
