"""Find the numbers that an outbox gave twice: it went back in time, or two programs used copies of it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, pairwise

from face_app.cloud.audit.ledgers import Coverage
from face_app.cloud.audit.spans import Span, merge
from face_app.cloud.bucket.mark_object import Mark


def given_twice(marks: Sequence[Mark], coverages: Iterable[Coverage]) -> list[Span]:
    """Return the numbers that marks contradict: of each, one face is lost, unless both are in the bucket.

    Args:
        marks: Marks of one outbox.
        coverages: Its ledgers. One without openings is not compared.
    """
    contradicted = [span for coverage in coverages if coverage.openings for span in _beyond_end(marks, coverage)]
    return merge([*contradicted, *_shared(marks)])


def _beyond_end(marks: Iterable[Mark], coverage: Coverage) -> Iterator[Span]:
    """Yield the numbers that a mark has after the end of its opening in the ledger."""
    for mark in marks:
        end = _end(mark, coverage)
        if end is not None and mark.last > end:
            yield Span(max(mark.first, end + 1), mark.last)


def _end(mark: Mark, coverage: Coverage) -> int | None:
    """Return the last number of a mark's opening by the ledger; None if later numbers may belong to it."""
    tokens = [token for token, _ in coverage.openings]
    if mark.token in tokens:
        later = coverage.openings[tokens.index(mark.token) + 1 :]
        # Numbers of the last opening may be newer than the ledger.
        return later[0][1] - 1 if later else None
    oldest = coverage.openings[0][1]
    if mark.first < oldest:
        return oldest - 1  # its opening has left the ledger
    # Opened after the ledger was written; otherwise the outbox no longer knows it.
    return None if mark.first > coverage.last else mark.first - 1


def _shared(marks: Iterable[Mark]) -> Iterator[Span]:
    """Yield the numbers that two openings claim: the ledger may have pruned the opening that lost them."""
    given = sorted(mark for mark in marks if mark.last >= mark.first)
    for earlier, later in combinations(given, 2):
        if later.first <= earlier.last:
            yield Span(later.first, earlier.last)


def unseen_from(marks: Sequence[Mark], coverages: Iterable[Coverage]) -> list[int]:
    """Return the numbers from which on faces may have existed that no record has, one for the end of each opening.

    An outbox that a disk brings back continues with a new opening. Faces after the number that the cloud knew of the
    former opening may be lost.
    """
    reached = {mark.token: mark.last for mark in marks}
    numbers = {max(reached.values(), default=0) + 1}
    for coverage in coverages:
        for (token, first), (_, following) in pairwise(coverage.openings):
            numbers.add(min(max(first, reached.get(token, 0) + 1), following))
    return sorted(numbers)
