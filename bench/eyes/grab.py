"""Decodes a clip and nothing else: the least that any program costs on it."""

import argparse
import json
import time
from pathlib import Path

import cv2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--crops", type=Path, help="is ignored")
    began, frames = time.process_time(), 0
    video = cv2.VideoCapture(str(parser.parse_args().clip), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    while video.grab():
        frames += 1
    print(json.dumps({"frames": frames, "shots": [], "cpu_seconds": time.process_time() - began}))


if __name__ == "__main__":
    main()
