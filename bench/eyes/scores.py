"""Results of programs on annotated clips, a line each."""

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.eyes.clips import one_frame
from bench.eyes.programs import GRAB, Program
from bench.eyes.truth import Clip
from bench.eyes.visits import Played, Visits, count, play

HEAD = (
    f"{'clip':<30}{'program':<10}{'frames':>7}{'>= 20 px':>9}{'all':>7}{'shots':>7}{'each':>6}{'dupl':>6}{'wrong':>6}"
    f"{'visits':>8}{'each':>6}{'false':>6}{'silent':>7}{'CPU-ms':>8}{'grab':>6}  refused"
)


@dataclass(frozen=True)
class Score:
    """Result of one program on one clip.

    Attributes:
        clip: Name of the clip.
        program: Name of the program.
        visits: Persons, shots and visits.
        cpu: CPU milliseconds a frame, without the program's start; as measured when it ran, on whatever machine load.
        grab: The same for decoding alone.
        frames: Number of frames that it processed.
    """

    clip: str
    program: str
    visits: Visits
    cpu: float
    grab: float
    frames: int = 0

    def document(self) -> dict[str, object]:
        """All of it as plain JSON values."""
        each = {
            "shots_per_person": self.visits.shots_per_person,
            "believed_per_person": self.visits.believed_per_person,
        }
        return {**asdict(self), **each}


@dataclass(frozen=True)
class Watched:
    """A clip and what every program did with it.

    Attributes:
        clip: And its truth.
        played: By program name.
        scores: One a program.
    """

    clip: Clip
    played: dict[str, Played]
    scores: list[Score]


def score(clip: Clip, program: Program, played: Played, start: float, grabbed: Played) -> Score:
    """Compare one program's result with the annotation."""
    cpu = 1000 * (played.cpu_seconds - start) / max(played.frames - 1, 1)
    grab = 1000 * grabbed.cpu_seconds / max(grabbed.frames, 1)
    return Score(clip.name, program.name, count(clip, played), max(cpu, 0.0), grab, played.frames)


def watch(clip: Clip, programs: list[Program], out: Path, settings: Mapping[str, str] | None = None) -> Watched:
    """Run every program on a clip; the CPU for a clip of one frame is a program's start."""
    cache, one = out / "played", one_frame(clip.file, out)
    grabbed = play(GRAB, clip.file, cache)
    played = {program.name: play(program, clip.file, cache, settings) for program in programs}
    starts = {program.name: play(program, one, cache).cpu_seconds for program in programs}
    scores = [score(clip, each, played[each.name], starts[each.name], grabbed) for each in programs]
    return Watched(clip, played, scores)


def table(scores: list[Score]) -> Iterator[str]:
    """One line a clip and program, and the sums of each program."""
    yield HEAD
    for each in scores:
        yield line(each)
    for program in dict.fromkeys(each.program for each in scores):
        its = [each for each in scores if each.program == program]
        total = sum((each.visits for each in its), Visits())
        middle = [statistics.median(getattr(each, name) for each in its) for name in ("cpu", "grab")]
        yield line(Score("all", program, total, *middle, sum(each.frames for each in its)))


def line(score: Score) -> str:
    """Write a score in the columns of `HEAD`."""
    visits = score.visits
    refused = ", ".join(f"{reason} {number}" for reason, number in visits.refused.items())
    return (
        f"{score.clip:<30}{score.program:<10}{score.frames:>7}{f'{visits.caught}/{visits.present}':>9}"
        f"{f'{visits.caught_small}/{visits.present_small}':>7}{visits.shots:>7}{visits.shots_per_person:>6.2f}"
        f"{visits.duplicates:>6}{visits.wrong:>6}{visits.believed:>8}{visits.believed_per_person:>6.2f}"
        f"{visits.false:>6}{visits.silent:>7}{score.cpu:>8.2f}{score.grab:>6.2f}  {refused}"
    )
