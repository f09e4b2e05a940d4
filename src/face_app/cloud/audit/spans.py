"""Find the sequence numbers that are missing, as spans, and merge spans."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Span:
    """Contains a range of sequence numbers, both ends included."""

    first: int
    last: int

    @property
    def count(self) -> int:
        """Return how many numbers the span contains."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"


def gaps_between(seen: Iterable[int], first: int, last: int) -> list[Span]:
    """Return the spans of sequence numbers from `first` to `last`, both included, that `seen` lacks."""
    spans: list[Span] = []
    expected = first
    for sequence in sorted(seen):
        if sequence > last:
            break
        if sequence > expected:
            spans.append(Span(expected, sequence - 1))
        expected = max(expected, sequence + 1)
    if expected <= last:
        spans.append(Span(expected, last))
    return spans


def merge(spans: Iterable[Span]) -> list[Span]:
    """Sort spans and join those that are adjacent or overlap."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and merged[-1].last >= span.first - 1:
            merged[-1] = Span(merged[-1].first, max(merged[-1].last, span.last))
        else:
            merged.append(span)
    return merged
