"""Compares the committed faces with the objects, id by id and hash by hash."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from face_app.common.wire import face_of_key
from faults.attacks import EDGE as ATTACKER
from faults.figures import Figures
from faults.verdict import Verdict
from faults.world import World

OF_ATTACKS = (f"{ATTACKER}/", "quarantine/")
"""Prefixes of objects that an attacker leaves."""


@dataclass(frozen=True)
class Outcome:
    """Contains the result of a run.

    Attributes:
        faces: Committed faces.
        kills: Kills of all processes.
        lost: Committed faces without an object of the same bytes.
        duplicated: Objects beyond one per face, and objects of faces that no camera tried to commit.
        resends: Repeated publishes.
        seconds: Time from the first face to the last receipt.
        silent: Lost faces that no ledger names with a reason, while the audit ends with 0.
        balanced: True if the audit ended with 0; None if it did not run.
        figures: Figures of the time of the fault; None: not measured.
    """

    faces: int
    kills: int
    lost: int
    duplicated: int
    resends: int
    seconds: float
    silent: int = 0
    balanced: bool | None = None
    figures: Figures | None = None


def outcome(running: World, seconds: float, verdict: Verdict | None = None, figures: Figures | None = None) -> Outcome:
    """Compare both ends: the logs of the cameras, and the objects as read back from the store.

    Two faces with one number are two committed faces, and one object too many.
    """
    committed, meant, resends = set[tuple[str, str]](), set[str](), 0
    for number, _ in enumerate(running.outboxes):
        log = _Log(running.home / f"committed-{number}.log")
        committed |= log.committed
        meant |= log.meant
        resends += log.resends
    left = OF_ATTACKS if "attacker" in running.helpers else ()
    objects = {key: sha256 for key, sha256 in running.objects().items() if not key.startswith(left)}
    found = {(str(face), sha256) for key, sha256 in objects.items() if (face := face_of_key(key))}
    ids = Counter(str(face_of_key(key)) for key in objects)
    lost = committed - found
    unknown = sum(count for face, count in ids.items() if face not in meant)
    copies = sum(count - 1 for face, count in ids.items() if face in meant)
    return Outcome(
        len(committed),
        running.kills,
        len(lost),
        copies + unknown,
        resends,
        round(seconds, 1),
        len(lost - verdict.named) if verdict and verdict.balanced else 0,
        verdict.balanced if verdict else None,
        figures,
    )


class _Log:
    def __init__(self, path: Path) -> None:
        self.committed: set[tuple[str, str]] = set()
        self.meant: set[str] = set()
        resent: dict[str, int] = {}
        for line in path.read_text().splitlines():
            what, *rest = line.split()
            if what == "meant":
                self.meant.add(rest[0])
            elif what == "committed" and len(rest) == 2 and len(rest[1]) == 64:
                self.committed.add((rest[0], rest[1]))
            elif what == "resent" and len(rest) == 2:
                resent[rest[0]] = int(rest[1])
        self.resends = sum(resent.values())
