"""Bring together what ledgers, objects and marks say about each outbox.

An outbox belongs to one edge. Objects and marks belong to the edge in their key, which the broker's ACL enforces. A
ledger belongs to the edge in its first line. So no edge can explain, or duplicate, the faces of another one.

After a rename, an outbox continues under the new name, and its earlier objects have the old one. They are counted
with the ledger of the new name if that proves to be of the same outbox (`OutboxLedger.explains`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from face_app.cloud.audit.ledgers import OutboxLedger
from face_app.cloud.audit.listing import BucketIndex
from face_app.cloud.audit.names import OutboxName
from face_app.cloud.bucket.mark_object import Mark, merge_marks


@dataclass(frozen=True)
class Evidence:
    """Contains everything known about one outbox.

    Attributes:
        index: Objects under the name of its edge, and under former names.
        elsewhere: Keys with its id under other names, by sequence number. They prove nothing about this edge, unless
            its ledger lists the very key.
        ledger: Ledger entries; None if no ledger was given.
        marks: Highest numbers that subscribers have seen.
    """

    index: BucketIndex
    elsewhere: Mapping[int, list[str]] = field(default_factory=dict)
    ledger: OutboxLedger | None = None
    marks: tuple[Mark, ...] = ()


def group(
    objects: Mapping[OutboxName, BucketIndex],
    ledgers: Mapping[OutboxName, OutboxLedger],
    marks: Mapping[OutboxName, tuple[Mark, ...]],
) -> dict[OutboxName, Evidence]:
    """Return the evidence of each outbox."""
    owners = dict(_renamed(objects, ledgers, marks))
    names_by_owner: dict[OutboxName, set[OutboxName]] = {}
    names_by_id: dict[str, set[OutboxName]] = {}
    for name in objects.keys() | ledgers.keys() | marks.keys():
        names_by_owner.setdefault(owners.get(name, name), set()).add(name)
        names_by_id.setdefault(name.outbox, set()).add(name)
    evidence = {}
    for owner, names in names_by_owner.items():
        evidence[owner] = Evidence(
            index=_united(objects, names),
            elsewhere=_keys_by_sequence(objects, names_by_id[owner.outbox] - names),
            ledger=ledgers.get(owner),
            marks=tuple(merge_marks(*(marks.get(name, ()) for name in names)).values()),
        )
    return evidence


def _renamed(
    objects: Mapping[OutboxName, BucketIndex],
    ledgers: Mapping[OutboxName, OutboxLedger],
    marks: Mapping[OutboxName, tuple[Mark, ...]],
) -> Iterator[tuple[OutboxName, OutboxName]]:
    """Yield each former name of an outbox with its present one."""
    for name in sorted((objects.keys() | marks.keys()) - ledgers.keys()):
        present = [
            other
            for other, ledger in ledgers.items()
            if other.outbox == name.outbox
            and ledger.was_renamed_to(objects.get(name, BucketIndex()), marks.get(name, ()))
        ]
        if len(present) == 1:  # several are copies of one outbox: no one of them explains it
            yield name, present[0]


def _united(objects: Mapping[OutboxName, BucketIndex], names: set[OutboxName]) -> BucketIndex:
    if len(names) == 1:
        return objects.get(*names) or BucketIndex()
    united = BucketIndex()
    for name in sorted(names):
        united.update(objects.get(name) or BucketIndex())
    return united


def _keys_by_sequence(objects: Mapping[OutboxName, BucketIndex], names: set[OutboxName]) -> dict[int, list[str]]:
    keys: dict[int, list[str]] = {}
    for name in sorted(names & objects.keys()):
        for sequence in objects[name].objects:
            keys.setdefault(sequence, []).extend(objects[name].keys_of(sequence))
    return keys
