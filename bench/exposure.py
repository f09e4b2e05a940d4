"""Measures how exposure, contrast and tone alone move the score of a face: the same crop, changed.

Faces of street photos that the detector finds surely. Pixels that a change makes black or white are lost, so a share of
the shift is deserved. Needs the folder of annotated photos, which is not part of the project.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from face_app.common import settings
from face_app.edge.vision.detectors.load import load_detector
from face_app.edge.vision.quality import assess

ROOT = Path(__file__).parents[1]
LEAST_WIDTH = 24
CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exposure x 0.4": lambda image: image * 0.4,
    "exposure x 0.7": lambda image: image * 0.7,
    "exposure x 1.4": lambda image: image * 1.4,
    "contrast x 0.5": lambda image: 128 + (image - 128) * 0.5,
    "contrast x 1.4": lambda image: 128 + (image - 128) * 1.4,
    "gamma 0.6": lambda image: 255 * (image / 255) ** 0.6,
    "gamma 1.8": lambda image: 255 * (image / 255) ** 1.8,
}


def shifts(photos: Path) -> dict[str, list[float]]:
    """Return by change the score of each face, divided by its score without the change."""
    detector = load_detector(settings.Detector())
    ratios: dict[str, list[float]] = {name: [] for name in CHANGES}
    for file in sorted(photos.iterdir()):
        image = cv2.imread(str(file))
        for face in detector.detect(image):
            if face.score < 0.8 or face.box[2] - face.box[0] < LEAST_WIDTH:
                continue
            score = assess(image, face).score
            if score <= 0:
                continue
            for name, change in CHANGES.items():
                changed = np.clip(change(image.astype(np.float32)), 0, 255).astype(np.uint8)
                ratios[name].append(assess(changed, face).score / score)
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser("bin/bench exposure", description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data", help="annotated photos")
    parser.add_argument("--before", type=Path, help="folder src of an earlier checkout, to compare with")
    parser.add_argument("--json", action="store_true", help="print the ratios alone")
    options = parser.parse_args()
    photos = options.data / "images/fmd"
    if not photos.is_dir():
        print(f"excluded: {photos} has no photos; name their folder with --data", file=sys.stderr)
        return
    if options.json:
        print(json.dumps(shifts(photos)))
        return
    results = {"face-app": shifts(photos)}
    if options.before:
        command = [sys.executable, "-m", "bench.exposure", "--data", str(options.data), "--json"]
        paths = os.pathsep.join([str(options.before), os.environ.get("PYTHONPATH", "")])
        output = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, check=True, capture_output=True)
        results["before"] = json.loads(output.stdout)
    print(f"{'score / score of the unchanged crop':<37}{'n':>5}{'p10':>7}{'median':>8}{'p90':>7}")
    for program, ratios in results.items():
        for name, values in ratios.items():
            low, middle, high = np.percentile(values, [10, 50, 90])
            print(f"{program:<12}{name:<25}{len(values):>5}{low:>7.2f}{middle:>8.2f}{high:>7.2f}")


if __name__ == "__main__":
    main()
