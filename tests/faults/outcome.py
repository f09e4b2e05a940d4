"""Compares the committed faces with the objects, id by id and hash by hash."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from face_app.common.wire import face_of_key
from faults.world import World


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
    """

    faces: int
    kills: int
    lost: int
    duplicated: int
    resends: int
    seconds: float


def outcome(running: World, seconds: float) -> Outcome:
    """Compare both ends: the logs of the cameras, and the objects as read back from the store."""
    committed, meant, resends = {}, set(), 0
    for number, _ in enumerate(running.outboxes):
        log = _Log(running.home / f"committed-{number}.log")
        committed |= log.committed
        meant |= log.meant
        resends += log.resends
    objects = running.objects()
    found = {(str(face), sha256) for key, sha256 in objects.items() if (face := face_of_key(key))}
    ids = Counter(str(face_of_key(key)) for key in objects)
    lost = committed.items() - found
    unknown = sum(count for face, count in ids.items() if face not in meant)
    copies = sum(count - 1 for face, count in ids.items() if face in meant)
    return Outcome(len(committed), running.kills, len(lost), copies + unknown, resends, round(seconds, 1))


class _Log:
    def __init__(self, path: Path) -> None:
        self.committed: dict[str, str] = {}
        self.meant: set[str] = set()
        resent: dict[str, int] = {}
        for line in path.read_text().splitlines():
            what, *rest = line.split()
            if what == "meant":
                self.meant.add(rest[0])
            elif what == "committed" and len(rest) == 2 and len(rest[1]) == 64:
                self.committed[rest[0]] = rest[1]
            elif what == "resent" and len(rest) == 2:
                resent[rest[0]] = int(rest[1])
        self.resends = sum(resent.values())
