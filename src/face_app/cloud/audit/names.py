"""Name the outboxes of an audit."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class OutboxName:
    """Names one outbox by its edge and its id.

    The id alone is not enough: two edges may run copies of one outbox, and an edge may claim the id of another.
    """

    edge: str
    outbox: str
