"""Measures detection and its cost, beside an earlier version and the original homework.

visits    in every annotated clip: persons caught, duplicates, wrong shots, visits, refusals; a contact sheet a clip

Needs a folder of annotated photos and clips, which is not part of the project. Prints tables and writes eyes-PART.json.
What an unchanged program finds in a clip is stored by the hash of its source: nothing runs twice.
"""

import argparse
import json
import sys
from pathlib import Path

from bench.eyes import scores, sheets
from bench.eyes.clips import one_frame
from bench.eyes.programs import FACE_APP, HOMEWORK, earlier
from bench.eyes.truth import read_clips

ROOT = Path(__file__).parents[2]
LONG = {"wolfgang", "one_by_one", "retail"}
"""Clips that a quick run leaves out."""


def main() -> None:
    parser = argparse.ArgumentParser(
        "bin/bench eyes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("visits",))
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data", help="photos, clips and their truth")
    parser.add_argument("--out", type=Path, default=ROOT / ".cache/bench/eyes", help="where results go")
    parser.add_argument("--before", type=Path, help="folder src of an earlier checkout, to compare with")
    parser.add_argument("--homework", action="store_true", help="run the original homework too, which is slow")
    parser.add_argument("--clips", type=lambda text: text.split(","), help="only these, as a list with commas")
    parser.add_argument("--quick", action="store_true", help="the short clips")
    options = parser.parse_args()
    if not (options.data / "videos/video_gt.json").exists():
        print(f"left out: {options.data} has no annotated photos and clips; name them with --data", file=sys.stderr)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    before = [earlier(options.before)] if options.before else []
    programs = [HOMEWORK] * options.homework + before + [FACE_APP]
    watched = []
    for clip in read_clips(options.data):
        if clip.name in options.clips if options.clips else not (options.quick and clip.name in LONG):
            print(f"==> {clip.name}", file=sys.stderr, flush=True)
            each = scores.watch(clip, programs, one_frame(clip.file, options.out), options.out / "played")
            sheets.draw(
                clip, {name: it.shots for name, it in each.played.items()}, options.out / f"sheet-{clip.name}.png"
            )
            watched.append(each)
    lines = [score for each in watched for score in each.scores]
    (options.out / "eyes-visits.json").write_text(json.dumps([each.document() for each in lines], indent=1))
    print("\n".join(scores.table(lines)))


if __name__ == "__main__":
    main()
