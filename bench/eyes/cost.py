"""CPU a frame, the decoder's with it, of whole programs on 720p clips."""

import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.eyes.clips import make_clip
from bench.eyes.programs import HOMEWORK, capture_clip, run


@dataclass(frozen=True)
class Length:
    """Frames of a clip that are processed, and rounds.

    Attributes:
        homework: Frames for the homework, which is slow.
        face_app: Frames for face-app.
        rounds: Number of rounds.
    """

    homework: int
    face_app: int
    rounds: int


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds a frame on one clip, a round each, and CPU seconds until the first frame is done with."""

    homework: list[float]
    face_app: list[float]
    homework_start: list[float]
    face_app_start: list[float]

    @property
    def ratio(self) -> float:
        """Ratio of the medians: homework to face-app."""
        return statistics.median(self.homework) / statistics.median(self.face_app)


def measure(kinds: tuple[str, ...], data: Path, out: Path, length: Length) -> dict[str, Cost]:
    """Run both programs alternately on every kind of clip.

    The CPU time for a clip of one frame is the start of a program, and no part of a frame's cost.
    """
    one = {kind: make_clip(data, out, kind, 1) for kind in kinds}
    short = {kind: make_clip(data, out, kind, length.homework) for kind in kinds}
    whole = {kind: make_clip(data, out, kind, length.face_app) for kind in kinds}
    costs = {kind: Cost([], [], [], []) for kind in kinds}
    for number in range(length.rounds):
        for kind, cost in costs.items():
            cost.homework_start.append(_homework(one[kind]))
            cost.face_app_start.append(_face_app(one[kind]))
            cost.homework.append(_per_frame(_homework, short[kind], length.homework, cost.homework_start[-1]))
            cost.face_app.append(_per_frame(_face_app, whole[kind], length.face_app, cost.face_app_start[-1]))
            line = f"homework {cost.homework[-1]:.1f}, face-app {cost.face_app[-1]:.2f} CPU-ms a frame"
            print(f"{kind}, round {number + 1}: {line}", file=sys.stderr, flush=True)
    return costs


def _per_frame(watch: Callable[[Path], float], clip: Path, frames: int, start: float) -> float:
    return 1000 * (watch(clip) - start) / (frames - 1)


def _homework(clip: Path) -> float:
    return run([*HOMEWORK, str(clip)]).cpu_seconds


def _face_app(clip: Path) -> float:
    with tempfile.TemporaryDirectory() as shots:
        return run(capture_clip(clip, Path(shots))).cpu_seconds
