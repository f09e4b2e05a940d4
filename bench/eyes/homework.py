"""The original homework: every frame in grey, the Haar cascade with its parameters, a grey PNG of every box.

It runs as a separate process, so that its CPU time is measured alone. The original publishes the crops; this one only
counts them, and writes them on request. It uses one thread, as face-app does.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import cv2

from face_app.edge.image import Image

SCALE, NEIGHBOURS = 1.3, 5
LARGE, LARGE_FRAMES = 1920, 30
"""Width from which on a frame takes so much CPU that only the first ones are processed, and how many."""


def cascade() -> cv2.CascadeClassifier:
    """Return the cascade of the homework from OpenCV's files."""
    return cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"))


def detect(image: Image, faces: cv2.CascadeClassifier) -> tuple[Image, list[tuple[int, int, int, int]]]:
    """Return the frame in grey and its faces as x, y, width, height."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return grey, [tuple(map(int, each)) for each in faces.detectMultiScale(grey, SCALE, NEIGHBOURS)]


def photos(files: list[Path]) -> Iterator[dict[str, object]]:
    faces = cascade()
    for file in files:
        _, boxes = detect(cv2.imread(str(file)), faces)
        yield {"file": str(file), "faces": [{"box": [x, y, x + w, y + h]} for x, y, w, h in boxes]}


def clip(file: Path, folder: Path | None) -> dict[str, object]:
    began, faces, camera = time.process_time(), cascade(), cv2.VideoCapture(str(file))
    most = LARGE_FRAMES if camera.get(cv2.CAP_PROP_FRAME_WIDTH) >= LARGE else math.inf
    crops, frame = [], 0
    while frame < most and (taken := camera.read())[0]:
        grey, boxes = detect(taken[1], faces)
        for x, y, w, h in boxes:
            png = cv2.imencode(".png", grey[y : y + h, x : x + w])[1].tobytes()
            name = f"{len(crops):05}.png"
            if folder:
                (folder / name).write_bytes(png)
            crops.append(
                {"file": name, "track": len(crops), "frame": frame, "box": [x, y, x + w, y + h], "bytes": len(png)}
            )
        frame += 1
    cpu_seconds = time.process_time() - began
    return {"frames": frame, "shots": crops, "tracks": len(crops), "cpu_seconds": cpu_seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="one clip, or photos")
    parser.add_argument("--photos", action="store_true", help="the files are photos; one line of JSON each")
    parser.add_argument("--crops", type=Path, help="write the crops into this folder")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for answer in photos(options.files) if options.photos else [clip(options.files[0], options.crops)]:
        print(json.dumps(answer))


if __name__ == "__main__":
    main()
