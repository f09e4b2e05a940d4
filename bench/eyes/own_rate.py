"""Runs face-app at the clip's own rate, as with a camera: CPU a minute, memory, and delay."""

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.eyes.clips import RATE, repeat
from bench.eyes.programs import FACE_APP, capture_clip, run


@dataclass(frozen=True)
class OwnRate:
    """One run on one clip.

    Attributes:
        seconds: Of video that were watched.
        cpu_per_minute: CPU seconds a minute of video, the program's start with it.
        peak_bytes: Peak memory.
        taken: Seconds that it took, its start with it. A file loses no frame: a program that is too slow takes longer.
    """

    seconds: float
    cpu_per_minute: float
    peak_bytes: int
    taken: float


def measure(clips: dict[str, Path], times: int) -> dict[str, OwnRate]:
    """Play every clip several times over to a program of its own, all at once: each is idle most of the time."""
    with ThreadPoolExecutor(len(clips)) as pool:
        return dict(zip(clips, pool.map(lambda clip: _play(clip, times), clips.values()), strict=True))


def _play(clip: Path, times: int) -> OwnRate:
    with tempfile.TemporaryDirectory() as folder:
        longer, shots = Path(folder, "clip.mp4"), Path(folder, "shots")
        shots.mkdir()
        repeat(clip, times, longer)
        ended = run(FACE_APP, capture_clip(longer, shots, pace="source"), memory=True)
    summary = json.loads(ended.lines[-1])
    seconds = summary["frames"] / RATE
    return OwnRate(seconds, 60 * ended.cpu_seconds / seconds, ended.peak_bytes, ended.seconds)
