"""Random damage costs no face that is whole, and no lost face is missing in silence."""

import hashlib
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import pytest

from face_app.common.errors import OutboxDamagedError
from face_app.common.settings import OutboxFile
from face_app.edge.outbox.export import export_ledger
from face_app.edge.outbox.incarnation import is_spoilt
from face_app.edge.outbox.outbox import Outbox
from support.damage import damage, whole_faces, write_outbox
from support.new_faces import new_face

FIXED_CASES, FIXED_SEED = 24, 21
STARTS = 3
"""Damage that no start finds is found in use, and recovered at the next start."""


@dataclass
class Found:
    """Contains what the outbox has after the damage: its ledger, and the hashes of the faces that can be sent."""

    ledger: dict
    outboxes: dict
    sendable: set


def use(path):
    """Start, send, commit and export, as the programs do."""
    for _ in range(STARTS):
        with suppress(OutboxDamagedError):
            with Outbox(OutboxFile(path=path)) as outbox:
                payloads = [outbox.payloads([row]).get(row) for row in outbox.oldest_pending(1000)]
                new = outbox.append([new_face(), new_face()])
                with export_ledger(outbox, "jetson") as ledger:
                    entries = {str(entry.id): entry for entry in ledger.entries}
            sendable = {hashlib.sha256(payload[1]).hexdigest() for payload in payloads if payload}
            return Found(entries, ledger.outboxes, sendable | {face.sha256 for face in new})
    raise AssertionError(f"damaged after {STARTS} starts")


def faults(found, states, whole, recorded):
    """Yield what is wrong: a whole face that is lost, or a lost face that nothing names.

    If the record of the last number is damaged too (not `recorded`), the box may have no trace of lost faces. The
    mark in the bucket names those; here, only whole faces count then.
    """
    own = next(iter(states))[:8]
    for face, (state, sha256) in states.items():
        entry = found.ledger.get(face)
        number = int(face[8:], 16)
        if face in whole and state == "waiting" and sha256 not in found.sendable:
            yield f"{number} is whole and cannot be sent: {entry}"
        if face in whole and state == "refused" and (entry is None or entry.state not in {"refused", "waiting"}):
            yield f"{number} is whole and not refused: {entry}"
        if recorded and entry is None and number > found.outboxes.get(own, 0):
            yield f"{number} is missing, and the ledger ends at {found.outboxes.get(own)}"
        if entry and entry.state == "stored" and state != "stored":
            yield f"{number} counts as stored, and was {state}"
    for entry in found.ledger.values():
        if entry.state == "waiting" and entry.sha256 not in found.sendable:
            yield f"{entry.id} counts as waiting and cannot be sent"


@pytest.mark.parametrize("drawn", [False, pytest.param(True, marks=pytest.mark.full)], ids=["fixed", "drawn"])
def test_random_damage(tmp_path, seed, pytestconfig, drawn):
    """Damage outboxes at random: a few with a fixed seed, or many with the drawn seed that the header prints."""
    cases, seed = (pytestconfig.getoption("--damage-cases"), seed) if drawn else (FIXED_CASES, FIXED_SEED)
    figures, wrong = Counter(), {}
    for case in range(cases):
        chance = random.Random(f"{seed} {case}")
        path = tmp_path / str(case) / "outbox.db"
        path.parent.mkdir()
        states, images = write_outbox(path, chance)
        what = damage(path, chance)
        whole = whole_faces(path, states, images)
        recorded = not is_spoilt(path)
        found = use(path)
        figures.update(cases=1, whole=len(whole), faces=len(states))
        figures["saved"] += sum(states[face][1] in found.sendable or states[face][0] == "refused" for face in whole)
        figures["lost and named"] += sum(
            face not in found.ledger or found.ledger[face].state == "expired" for face in states
        )
        if problems := list(faults(found, states, whole, recorded)):
            wrong[case, what] = problems
    print(dict(figures))  # noqa: T201 - the figures of a long run
    assert not wrong


@pytest.mark.parametrize("kind", ["empty", "zeros", "noise"])
def test_a_file_without_anything_readable_is_set_aside(path, kind):
    with Outbox(OutboxFile(path=path)) as outbox:
        outbox.append([new_face() for _ in range(20)])
    size = path.stat().st_size
    path.write_bytes({"empty": b"", "zeros": bytes(size), "noise": random.Random(1).randbytes(size)}[kind])
    found = use(path)
    assert len(found.sendable) == 2
    assert min(found.outboxes.values()) == 2
