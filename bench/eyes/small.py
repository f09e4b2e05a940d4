"""Small moving faces: real ones, scaled down, pasted into a real scene of 1920x1080 on straight paths."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from bench.eyes import clips, scores
from bench.eyes.programs import Program
from bench.eyes.scores import Watched
from bench.eyes.truth import Clip
from face_app.edge.image import Box, Image

WIDTHS = (16, 24, 32)
"""Widths of the pasted faces, pixels."""
SCENE, FRAMES, RATE = "retail", 300, 25
CLOTHES = ("wolfgang", "single_face", "intel_fm", "intel_pause")
"""Clips whose persons are pasted."""
PERSONS, EVERY, SHOWN = 14, 16, 75
"""So many persons, one after so many frames, each for so many frames."""
SPEEDS = (60, 150)
"""Pixels a second."""
FLOOR = (420, 1000)
"""Rows of the scene in which the paths lie: few of its own faces are there."""
MARGIN = 0.7
"""Margin of a pasted picture on each side, of the face's size: hair, neck and shoulders."""


@dataclass(frozen=True)
class Cut:
    """A face with its margin.

    Attributes:
        image: The picture.
        face: Place of the face in it.
    """

    image: Image
    face: Box


@dataclass(frozen=True)
class Walk:
    """A straight path of one person.

    Attributes:
        name: Of the person.
        first: Frame of the start.
        start: Centre of the face in the first frame.
        step: Pixels a frame.
    """

    name: str
    first: int
    start: npt.NDArray[np.float64]
    step: npt.NDArray[np.float64]


def watch(known: list[Clip], width: int, programs: list[Program], out: Path) -> Watched:
    """Paste faces of a width into the scene, and run every program on it; only the pasted persons count."""
    scene = next(clip for clip in known if clip.name == SCENE)
    cuts = [cut for clip in known if clip.name in CLOTHES for cut in _cuts(clip, width)]
    paths = list(_paths())
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    file = out / f"small-{width}-{recipe}.mp4"
    if not file.exists():
        clips.write(file, _images(scene.file, cuts, paths), RATE, maxrate="6M", bufsize="6M")
    boxes = {number: dict(scene.boxes.get(number, {})) for number in range(FRAMES)}
    for number, path in enumerate(paths):
        for frame in range(path.first, path.first + SHOWN):
            boxes[frame][path.name] = _place(cuts[number % len(cuts)], path, frame)[1]
    clip = Clip(f"pasted, {width} px", file, boxes, frozenset(path.name for path in paths), scene.ignored)
    return scores.watch(clip, programs, out)


def _cuts(clip: Clip, width: int) -> Iterator[Cut]:
    """Cut every person out of the first frame, in which no head leans, and scale the face to the width.

    The previews of some clips have a third of the scene's contrast: every cut is stretched to the full range.
    """
    for person in sorted(clip.counted):
        seen = {number: faces[person] for number, faces in clip.boxes.items() if person in faces}
        number = min(seen)
        image = next(image for at, image in enumerate(clips.frames(clip.file)) if at == number)
        x1, y1, x2, y2 = seen[number]
        aside, above = MARGIN * (x2 - x1), MARGIN * (y2 - y1)
        left, top = max(0, round(x1 - aside)), max(0, round(y1 - above))
        part = image[top : round(y2 + above), left : round(x2 + aside)]
        dark, bright = np.percentile(part, [1, 99])
        part = ((part - dark) * (255 / (bright - dark))).clip(0, 255).astype(np.uint8)
        scale = width / (x2 - x1)
        face = tuple(scale * edge for edge in (x1 - left, y1 - top, x2 - left, y2 - top))
        yield Cut(cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), face)


def _paths() -> Iterator[Walk]:
    random = np.random.default_rng(0)
    for number in range(PERSONS):
        speed, slope = random.uniform(*SPEEDS) / RATE, random.uniform(-0.2, 0.2)
        step = speed * np.array([random.choice((-1, 1)), slope]) / np.hypot(1, slope)
        low, high = np.maximum(0, -step * SHOWN), np.maximum(0, step * SHOWN)
        start = random.uniform(low + (120, FLOOR[0]), np.subtract((1800, FLOOR[1]), high))  # noqa: RUF005 - arrays
        yield Walk(f"pasted {number}", number * EVERY, start, step)


def _images(scene: Path, cuts: list[Cut], paths: list[Walk]) -> Iterator[Image]:
    for frame, image in enumerate(clips.frames(scene)):
        if frame == FRAMES:
            return
        for number, path in enumerate(paths):
            if path.first <= frame < path.first + SHOWN:
                _paste(image, cuts[number % len(cuts)], path, frame)
        yield image


def _place(cut: Cut, path: Walk, frame: int) -> tuple[tuple[int, int], Box]:
    """Return the corner of the pasted picture and the face's box in the scene."""
    x1, y1, x2, y2 = cut.face
    x, y = path.start + (frame - path.first) * path.step
    left, top = round(x - (x1 + x2) / 2), round(y - (y1 + y2) / 2)
    return (left, top), (left + x1, top + y1, left + x2, top + y2)


def _paste(image: Image, cut: Cut, path: Walk, frame: int) -> None:
    (left, top), _ = _place(cut, path, frame)
    rows, columns = cut.image.shape[:2]
    x1, y1, x2, y2 = cut.face
    y, x = np.ogrid[:rows, :columns]
    across, down = (x - (x1 + x2) / 2) / (x2 - x1), (y - (y1 + y2) / 2) / (y2 - y1)
    border = np.minimum(np.minimum(x, columns - 1 - x) / (x2 - x1), np.minimum(y, rows - 1 - y) / (y2 - y1))
    opaque = np.clip(np.minimum((1.1 - np.hypot(across, down)) / 0.3, border / 0.1), 0, 1)[..., None]
    part = image[top : top + rows, left : left + columns]
    part[:] = (opaque * cut.image + (1 - opaque) * part).round()
