"""Measures detection and its cost, alternating with the original homework in one run.

recall    in annotated photos, and boxes that match no labelled face
cost      CPU a frame of the whole programs on 720p clips, two busy, one of an empty room; by stage; at their own rate
visits    in annotated clips: persons caught, crops and bytes of each

Needs a folder of annotated photos and clips, which is not part of the project. Prints a table and writes eyes.json,
eyes.png, and a sheet a clip with the pictures of both.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench.eyes import cost, own_rate, photos, plot, sheets, truth, visits
from bench.eyes.clips import KINDS, make_clip
from bench.eyes.cost import Length
from bench.eyes.programs import run
from bench.eyes.results import Results
from bench.eyes.table import table

ROOT = Path(__file__).parents[2]
LONG = {"wolfgang", "one_by_one"}
"""Clips that a quick run leaves out."""

TIMES = 3
"""Number of times a clip is played at its own rate: a minute, in a quick run half of it."""


def main() -> None:
    parser = argparse.ArgumentParser(
        "bin/bench eyes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data", help="photos, clips and their truth")
    parser.add_argument("--out", type=Path, default=ROOT / ".cache/bench/eyes", help="where results go")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of the cost (5)")
    parser.add_argument("--quick", action="store_true", help="a third of the photos, two short rounds, the short clips")
    options = parser.parse_args()
    if not (options.data / "videos/video_gt.json").exists():
        print(f"left out: {options.data} has no annotated photos and clips; name them with --data", file=sys.stderr)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    results = measure(options.data, options.out, options.repeats, quick=options.quick)
    (options.out / "eyes.json").write_text(json.dumps(results.document(), indent=1))
    plot.draw(results, options.out / "eyes.png")
    print(table(results))
    print(f"in {options.out}: eyes.json, eyes.png, sheet-*.png")


def measure(data: Path, out: Path, repeats: int, *, quick: bool) -> Results:
    length = (
        Length(homework=25, face_app=250, rounds=2) if quick else Length(homework=100, face_app=500, rounds=repeats)
    )
    _log("photos")
    found = {name: photos.measure(photos.read_photos(data, name, 3 if quick else 1)) for name in photos.SETS}
    _log("visits")
    clips = [clip for clip in truth.read_clips(data) if not (quick and clip.name in LONG)]
    with tempfile.TemporaryDirectory(prefix="eyes-") as pictures:
        seen = visits.watch(clips, Path(pictures))
        for each in seen:
            sheets.draw(each, out / f"sheet-{each.clip.name}.png")
    _log("cost")
    costs = cost.measure(KINDS, data, out, length)
    whole = {kind: make_clip(data, out, kind, length.face_app) for kind in KINDS}
    _log("stages")
    few = [make_clip(data, out, "street", frames) for frames in (1, length.homework)]
    stages = run([sys.executable, "-m", "bench.eyes.stages", *map(str, few), str(whole["street"])])
    _log("the clips at their own rate")
    return Results(
        quick,
        found,
        {
            each.clip.name: (visits.count(each.clip, each.homework), visits.count(each.clip, each.face_app))
            for each in seen
        },
        costs,
        own_rate.measure(whole, TIMES),
        json.loads(stages.lines[-1]),
    )


def _log(part: str) -> None:
    print(f"==> {part}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
