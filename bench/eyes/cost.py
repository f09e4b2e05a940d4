"""CPU a frame of whole programs, beside that of decoding alone."""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.eyes.clips import make_clip
from bench.eyes.programs import GRAB, HOMEWORK, Program, process


@dataclass(frozen=True)
class Cost:
    """CPU on one clip, by program and round.

    Attributes:
        frame: Milliseconds a frame, without the start.
        start: Seconds until the first frame is done with.
    """

    frame: dict[str, list[float]]
    start: dict[str, list[float]]

    def ratio(self, program: Program, other: Program) -> float:
        """Median over the rounds of the ratio of one program to another."""
        return self.ratio_of(program.name, other.name)

    def ratio_of(self, program: str, other: str) -> float:
        pairs = zip(self.frame[program], self.frame[other], strict=True)
        return statistics.median(mine / its for mine, its in pairs)


def measure(
    kinds: Sequence[str], programs: Sequence[Program], data: Path, out: Path, *, frames: int, rounds: int
) -> dict[str, Cost]:
    """Run all programs, and decoding alone, alternately on every kind of clip.

    The CPU time for a clip of one frame is the start of a program, and no part of a frame's cost. The homework is slow:
    it gets a fifth of the frames.
    """
    programs = [GRAB, *programs]
    costs = {kind: Cost({each.name: [] for each in programs}, {each.name: [] for each in programs}) for kind in kinds}
    for number in range(rounds):
        for kind, cost in costs.items():
            one, short, whole = (make_clip(data, out, kind, length) for length in (1, frames // 5, frames))
            for program in programs:
                start, _ = _cpu(program, one)
                seconds, processed = _cpu(program, short if program is HOMEWORK else whole)
                cost.start[program.name].append(start)
                cost.frame[program.name].append(1000 * (seconds - start) / (processed - 1))
            spent = ", ".join(f"{name} {each[-1]:.2f}" for name, each in cost.frame.items())
            print(f"{kind}, round {number + 1}, CPU-ms a frame: {spent}", file=sys.stderr, flush=True)
    return costs


def _cpu(program: Program, clip: Path) -> tuple[float, int]:
    """Return CPU seconds and frames."""
    with tempfile.TemporaryDirectory() as shots:
        answer, ended = process(program, clip, Path(shots))
        return ended.cpu_seconds, answer["frames"]
