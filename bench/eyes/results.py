"""All measurements of a run."""

import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from bench.eyes.cost import Cost
from bench.eyes.goals import Goal, byte_ratio, goals
from bench.eyes.own_rate import OwnRate
from bench.eyes.photos import KINDS, PhotoSet
from bench.eyes.truth import DOORWAY
from bench.eyes.visits import Visits


@dataclass(frozen=True)
class Results:
    """Measurements of a run.

    Attributes:
        quick: Whether only a part was measured.
        photos: By set.
        clips: By clip, homework and face-app.
        costs: By kind of clip.
        own_rate: By kind of clip.
        stages: CPU milliseconds a frame of the busy clip, by program and stage.
    """

    quick: bool
    photos: dict[str, PhotoSet]
    clips: dict[str, tuple[Visits, Visits]]
    costs: dict[str, Cost]
    own_rate: dict[str, OwnRate]
    stages: dict[str, dict[str, float]]

    @property
    def total(self) -> tuple[Visits, Visits]:
        """Return the sums of both programs over all clips with persons."""
        homework, face_app = zip(*(both for both in self.clips.values() if both[0].present_small), strict=True)
        nothing = Visits(*[0] * 8)
        return sum(homework, nothing), sum(face_app, nothing)

    @property
    def goals(self) -> list[Goal]:
        return goals(self.photos["fmd"], self.costs, self.clips[DOORWAY][1], *self.total)

    def document(self) -> dict[str, object]:
        """All of it as plain JSON values."""
        homework, face_app = self.total
        return {
            "quick": self.quick,
            "machine": {"cpu": _cpu(), "python": platform.python_version(), "opencv": cv2.__version__},
            "photos": {name: _photos(each) for name, each in self.photos.items()},
            "clips": {name: _visits(*both) for name, both in self.clips.items()},
            "total": _visits(homework, face_app) | {"byte_ratio": byte_ratio(homework, face_app)},
            "costs": {kind: asdict(cost) | {"ratio": cost.ratio} for kind, cost in self.costs.items()},
            "own_rate": {kind: asdict(each) for kind, each in self.own_rate.items()},
            "stages": self.stages,
            "goals": [asdict(goal) for goal in self.goals],
        }


def _photos(photos: PhotoSet) -> dict[str, object]:
    return {
        "photos": photos.photos,
        "faces": {kind: sum(photos.present[kind]) for kind in KINDS},
        "recall_ratio_and_interval": {kind: photos.ratio(kind) for kind in KINDS},
    } | {
        program: {
            "recall": {kind: photos.recall(score, kind) for kind in KINDS},
            "detections": score.detections,
            "precision": score.precision,
        }
        for program, score in (("homework", photos.homework), ("face_app", photos.face_app))
    }


def _visits(homework: Visits, face_app: Visits) -> dict[str, dict[str, object]]:
    return {
        program: asdict(each) | {"shots_per_person": each.shots_per_person}
        for program, each in (("homework", homework), ("face_app", face_app))
    }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
