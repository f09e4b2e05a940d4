"""Measures the stages of both programs, which run in this process under a stopwatch.

A program of its own, started by the benchmark; the last line is JSON, CPU milliseconds a frame by stage.
"""

import argparse
import io
import json
import pkgutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from unittest.mock import patch

import cv2

from bench.eyes import homework
from bench.eyes.stopwatch import Stopwatch
from face_app.cli.app import app
from face_app.edge.image import Image

POINTS = (
    ("colour", "cv2:cvtColor"),
    ("resize", "cv2:resize"),
    ("encode", "cv2:imencode"),
    ("detect", "face_app.edge.vision.detectors.yunet:YuNet.detect"),
    ("gate", "face_app.edge.vision.gate:Gate.should_detect"),
    ("track", "face_app.edge.vision.tracker:Tracker.update"),
    ("score", "face_app.edge.vision.quality:assess"),
)
"""Stage, and where it is found when the program runs."""

ORDER = ("decode", "colour", "resize", "gate", "detect", "track", "score", "encode", "rest")


class _Video:
    """A file under the stopwatch; its `read` is `grab`, which decodes, and `retrieve`, which converts to BGR.

    The decoder has no threads of its own here: a stage's time is that of the thread that it runs in.
    """

    def __init__(self, watch: Stopwatch, kind: type, file: str, *_: object) -> None:
        self._capture = kind(file, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        self.grab = watch.wrap("decode", self._capture.grab)
        self.retrieve = watch.wrap("colour", self._capture.retrieve)

    def read(self, *image: Image) -> tuple[bool, Image | None]:
        return self.retrieve(*image) if self.grab() else (False, None)

    def __getattr__(self, name: str) -> object:
        return getattr(self._capture, name)


class _Cascade:
    """A cascade under the stopwatch."""

    def __init__(self, watch: Stopwatch, kind: type, *arguments: object) -> None:
        self.detectMultiScale = watch.wrap("detect", kind(*arguments).detectMultiScale)


@contextmanager
def timed_stages(watch: Stopwatch) -> Iterator[None]:
    """Put the stages under the stopwatch.

    OpenCV's classes can be neither changed nor, without a crash, derived from: their instances are wrapped.
    """
    video = partial(_Video, watch, cv2.VideoCapture)
    cascade = partial(_Cascade, watch, cv2.CascadeClassifier)
    with ExitStack() as stack:
        stack.enter_context(patch.object(cv2, "VideoCapture", video))
        stack.enter_context(patch.object(cv2, "CascadeClassifier", cascade))
        for stage, place in POINTS:
            module, _, path = place.partition(":")
            owner, _, name = path.rpartition(".")
            holder = pkgutil.resolve_name(f"{module}:{owner}" if owner else module)
            stack.enter_context(patch.object(holder, name, watch.wrap(stage, getattr(holder, name))))
        yield


def per_frame(program: Callable[[Path], int], first: Path, clip: Path) -> dict[str, float]:
    """Time a program's stages on a clip, after it has done the first one; give milliseconds a frame by stage."""
    program(first)
    watch = Stopwatch()
    with timed_stages(watch):
        frames = watch.wrap("rest", program)(clip)
    return {stage: 1000 * watch.seconds[stage] / frames for stage in ORDER if stage in watch.seconds}


def homework_program(clip: Path) -> int:
    """Process a clip with the homework and return its number of frames."""
    return int(homework.clip(clip, None)["frames"])


def face_app_program(clip: Path) -> int:
    """Process a clip with `face-app capture --dry-run` and return its number of frames."""
    with tempfile.TemporaryDirectory() as shots, redirect_stdout(io.StringIO()) as output:
        app(
            ["capture", "--source", str(clip), "--dry-run", shots, "--pace", "fast", "--json"],
            standalone_mode=False,
        )
    return int(json.loads(output.getvalue().splitlines()[-1])["frames"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("one", type=Path, help="a clip of one frame")
    parser.add_argument("short", type=Path, help="the homework's clip")
    parser.add_argument("whole", type=Path, help="the clip of face-app")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    homework = per_frame(homework_program, options.one, options.short)
    print(json.dumps({"homework": homework, "face_app": per_frame(face_app_program, options.one, options.whole)}))


if __name__ == "__main__":
    main()
