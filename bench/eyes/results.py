"""All measurements of a run; those of parts that were not run are empty."""

import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2

from bench.eyes.cost import Cost
from bench.eyes.goals import Goal, goals
from bench.eyes.own_rate import OwnRate
from bench.eyes.photos import PhotoSet
from bench.eyes.programs import FACE_APP, HOMEWORK
from bench.eyes.scores import Score
from bench.eyes.visits import Visits


@dataclass(frozen=True)
class Results:
    """Measurements of a run.

    Attributes:
        scores: In annotated clips, by the part that they belong to.
        photos: By set.
        costs: By kind of clip.
        own_rate: By kind of clip.
        stages: CPU milliseconds a frame of the busy clip, by program and stage.
    """

    scores: dict[str, list[Score]] = field(default_factory=dict)
    photos: dict[str, PhotoSet] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)
    own_rate: dict[str, OwnRate] = field(default_factory=dict)
    stages: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def clips(self) -> dict[str, tuple[Visits, Visits]]:
        """Return the visits of homework and face-app in the clips that the homework has processed to their end."""
        homework, face_app = (
            {each.clip: each for each in self.scores.get("visits", []) if each.program == program.name}
            for program in (HOMEWORK, FACE_APP)
        )
        whole = [name for name in homework if homework[name].frames == face_app[name].frames]
        return {name: (homework[name].visits, face_app[name].visits) for name in whole}

    @property
    def total(self) -> tuple[Visits, Visits]:
        """Return the sums of both programs over all these clips with persons."""
        homework, face_app = zip(*(both for both in self.clips.values() if both[0].present_small), strict=True)
        return sum(homework, Visits()), sum(face_app, Visits())

    @property
    def goals(self) -> list[Goal]:
        """Return the goals; only a run of all parts has them."""
        mine = [each for each in self.scores.get("visits", []) if each.program == FACE_APP.name]
        return goals(self.photos["fmd"], self.costs, mine, *self.total) if self.stages else []

    def document(self) -> dict[str, object]:
        """All of it as plain JSON values."""
        return {
            "machine": {"cpu": _cpu(), "python": platform.python_version(), "opencv": cv2.__version__},
            "photos": {name: each.document() for name, each in self.photos.items()},
            "scores": {part: [each.document() for each in scores] for part, scores in self.scores.items()},
            "costs": {kind: asdict(cost) for kind, cost in self.costs.items()},
            "own_rate": {kind: asdict(each) for kind, each in self.own_rate.items()},
            "stages": self.stages,
            "goals": [asdict(goal) for goal in self.goals],
        }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
