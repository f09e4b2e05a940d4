"""CPU a frame, the decoder's with it, of whole programs on 720p clips."""

import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.eyes.clips import make_clip
from bench.eyes.programs import SEED, capture_clip, run


@dataclass(frozen=True)
class Length:
    """How much of a clip is looked at, and how often.

    Attributes:
        seed: Frames for the write-up's way, which takes its time.
        ours: Frames for ours.
        rounds: How often each.
    """

    seed: int
    ours: int
    rounds: int


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds a frame on one clip, a round each, and CPU seconds until the first frame is done with."""

    seed: list[float]
    ours: list[float]
    seed_start: list[float]
    ours_start: list[float]

    @property
    def ratio(self) -> float:
        """The write-up's median beside ours."""
        return statistics.median(self.seed) / statistics.median(self.ours)


def measure(kinds: tuple[str, ...], data: Path, out: Path, length: Length) -> dict[str, Cost]:
    """Let both programs take turns on every kind of clip.

    What a program takes for a clip of one frame is its start, and no part of a frame's cost.
    """
    one = {kind: make_clip(data, out, kind, 1) for kind in kinds}
    short = {kind: make_clip(data, out, kind, length.seed) for kind in kinds}
    whole = {kind: make_clip(data, out, kind, length.ours) for kind in kinds}
    costs = {kind: Cost([], [], [], []) for kind in kinds}
    for number in range(length.rounds):
        for kind, cost in costs.items():
            cost.seed_start.append(_seed(one[kind]))
            cost.ours_start.append(_ours(one[kind]))
            cost.seed.append(_per_frame(_seed, short[kind], length.seed, cost.seed_start[-1]))
            cost.ours.append(_per_frame(_ours, whole[kind], length.ours, cost.ours_start[-1]))
            line = f"the write-up's {cost.seed[-1]:.1f}, ours {cost.ours[-1]:.2f} CPU-ms a frame"
            print(f"{kind}, round {number + 1}: {line}", file=sys.stderr, flush=True)
    return costs


def _per_frame(watch: Callable[[Path], float], clip: Path, frames: int, start: float) -> float:
    return 1000 * (watch(clip) - start) / (frames - 1)


def _seed(clip: Path) -> float:
    return run([*SEED, str(clip)]).cpu_seconds


def _ours(clip: Path) -> float:
    with tempfile.TemporaryDirectory() as shots:
        return run(capture_clip(clip, Path(shots))).cpu_seconds
