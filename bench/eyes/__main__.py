"""Measures detection and its cost, beside an earlier version and the original homework.

photos    recall in annotated photos, boxes that match no labelled face, and those that the earlier version has not
visits    in every annotated clip: persons caught, duplicates, wrong shots, visits, refusals; a contact sheet a clip
stress    the same for two clips turned, dark, noisy, slow, compressed, scaled and shaken
small     the same for moving faces of 16 to 32 pixels that are pasted into a scene of 1920x1080
cost      CPU a frame of whole programs, beside decoding alone, on 720p and 1080p clips, busy and static

Without a part: all of them with the homework, the cost by stage and at the clips' own rate, the goals, and a plot.
Needs a folder of annotated photos and clips, which is not part of the project. Prints tables; writes eyes-PART.json.
What an unchanged program finds in a clip is stored by the hash of its source, its CPU with it; the cost never is.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.eyes import cost, own_rate, photos, plot, scores, sheets, small, stress
from bench.eyes.clips import KINDS, make_clip
from bench.eyes.own_rate import OwnRate
from bench.eyes.photos import PhotoSet
from bench.eyes.programs import FACE_APP, HOMEWORK, Program, earlier, run
from bench.eyes.results import Results
from bench.eyes.scores import Score, Watched
from bench.eyes.table import table
from bench.eyes.truth import Clip, read_clips

ROOT = Path(__file__).parents[2]
LONG = {"wolfgang", "one_by_one", "retail"}
"""Clips that a quick run leaves out."""

ROUNDS, QUICK_ROUNDS = 5, 2
FRAMES, QUICK_FRAMES = 300, 150
"""Rounds and frames of the cost."""

TIMES = 5
"""Number of times a clip is played at its own rate."""


class Bench:
    """Measures parts with the options of the command line."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._data, self._out, self._quick, self._clips = options.data, options.out, options.quick, options.clips
        self._programs: list[Program] = [HOMEWORK] * (options.homework or not options.part)
        self._programs += [earlier(options.before)] if options.before else []
        self._programs.append(FACE_APP)

    def photos(self) -> dict[str, PhotoSet]:
        found = {
            name: photos.measure(photos.read_photos(self._data, name, 3 if self._quick else 1), self._programs)
            for name in photos.SETS
        }
        for name, each in found.items():
            for program in self._programs[:-1]:
                new = each.new_false(FACE_APP.name, program.name)
                sheets.draw_boxes(new, self._out / f"sheet-{name}-not-labelled-new-to-{program.name}.png")
        return found

    def visits(self) -> list[Score]:
        clips = self._chosen(lambda clip: not (self._quick and clip.name in LONG))
        return self._drawn(scores.watch(clip, self._programs, self._out) for clip in clips)

    def stress(self) -> list[Score]:
        clips = self._chosen(lambda clip: clip.name in stress.STRETCHES)
        variants = [name for name in stress.VARIANTS if not (self._quick and name in stress.SLOW)]
        return self._drawn(
            watched
            for clip in clips
            for variant in variants
            for watched in stress.watch(clip, variant, self._programs, self._out)
        )

    def small(self) -> list[Score]:
        known = read_clips(self._data)
        return self._drawn(small.watch(known, width, self._programs, self._out) for width in small.WIDTHS)

    def cost(self) -> dict[str, cost.Cost]:
        kinds = [kind for kind in KINDS if not self._clips or kind in self._clips]
        frames, rounds = (QUICK_FRAMES, QUICK_ROUNDS) if self._quick else (FRAMES, ROUNDS)
        return cost.measure(kinds, self._programs, self._data, self._out, frames=frames, rounds=rounds)

    def own_rate(self) -> dict[str, OwnRate]:
        return own_rate.measure({kind: self._clip(kind, FRAMES) for kind in KINDS}, TIMES)

    def stages(self) -> dict[str, dict[str, float]]:
        clips = [str(self._clip("street", length)) for length in (1, FRAMES // 5, FRAMES)]
        return json.loads(run(FACE_APP, command=[sys.executable, "-m", "bench.eyes.stages", *clips]).lines[-1])

    def _clip(self, kind: str, length: int) -> Path:
        return make_clip(self._data, self._out, kind, length)

    def _chosen(self, usual: Callable[[Clip], bool]) -> Iterator[Clip]:
        return (clip for clip in read_clips(self._data) if (clip.name in self._clips if self._clips else usual(clip)))

    def _drawn(self, clips: Iterator[Watched]) -> list[Score]:
        scored: list[Score] = []
        for watched in clips:
            name, scored = watched.clip.name, scored + watched.scores
            print("\n".join(map(scores.line, watched.scores)), file=sys.stderr, flush=True)
            shots = {program: played.shots for program, played in watched.played.items()}
            sheets.draw(watched.clip, shots, self._out / f"sheet-{name.replace(', ', '-').replace(' ', '-')}.png")
        return scored


PARTS: dict[str, Callable[[Bench], Results]] = {
    "photos": lambda bench: Results(photos=bench.photos()),
    "visits": lambda bench: Results({"visits": bench.visits()}),
    "stress": lambda bench: Results({"stress": bench.stress()}),
    "small": lambda bench: Results({"small": bench.small()}),
    "cost": lambda bench: Results(costs=bench.cost()),
    "all": lambda bench: Results(
        {"visits": bench.visits(), "stress": bench.stress(), "small": bench.small()},
        bench.photos(),
        bench.cost(),
        bench.own_rate(),
        bench.stages(),
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "bin/bench eyes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=[name for name in PARTS if name != "all"], help="only this one")
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data", help="photos, clips and their truth")
    parser.add_argument("--out", type=Path, default=ROOT / ".cache/bench/eyes", help="where results go")
    parser.add_argument("--before", type=Path, help="folder src of an earlier checkout, to compare with")
    parser.add_argument("--homework", action="store_true", help="run the original homework too, which is slow")
    parser.add_argument("--clips", type=lambda text: text.split(","), help="only these, as a list with commas")
    parser.add_argument(
        "--quick", action="store_true", help="the short clips, a third of the photos, two short rounds of the cost"
    )
    options = parser.parse_args(arguments)
    if options.clips and options.part not in ("visits", "stress", "cost"):
        parser.error("--clips needs visits, stress or cost: the goals are of all clips, and the other parts have none")
    if not (options.data / "videos/video_gt.json").exists():
        print(f"excluded: {options.data} has no annotated photos and clips; name them with --data", file=sys.stderr)
        return
    known = KINDS if options.part == "cost" else [clip.name for clip in read_clips(options.data)]
    unknown = [name for name in options.clips or () if name not in known]
    if unknown:
        parser.error(f"no clip {', '.join(unknown)}; there are {', '.join(known)}")
    options.out.mkdir(parents=True, exist_ok=True)
    part = options.part or "all"
    results = PARTS[part](Bench(options))
    (options.out / f"eyes-{part}.json").write_text(json.dumps(results.document(), indent=1))
    print(table(results))
    if part == "all":
        plot.draw(results, options.out / "eyes.png")


if __name__ == "__main__":
    main()
