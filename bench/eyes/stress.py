"""Annotated clips under stress: turned, dark, noisy, slow, compressed, scaled and shaken, labels with them."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from bench.eyes import clips, scores
from bench.eyes.programs import Program, has_setting
from bench.eyes.scores import Watched
from bench.eyes.truth import DOORWAY, Clip
from face_app.edge.image import Box, Image

STRETCHES = {"hamilton": range(275), DOORWAY: range(440, 640)}
"""Clips that are stressed, and their frames; the doorway's are those of six persons."""

ENCODER = {"crf": "18", "maxrate": "40M", "bufsize": "40M"}
"""Fine enough that a variant shows its stress alone."""

Size = tuple[int, int]
Matrix = npt.NDArray[np.float64]


def unmoved(_number: int, size: Size) -> tuple[Matrix, Size]:
    return np.eye(2, 3), size


def on_its_side(_number: int, size: Size) -> tuple[Matrix, Size]:
    """Turn by 90 degrees, clockwise."""
    return np.array([[0, -1, size[1]], [1, 0, 0]], float), size[::-1]


def height(pixels: int) -> Callable[[int, Size], tuple[Matrix, Size]]:
    """Scale to a height."""

    def scale(_number: int, size: Size) -> tuple[Matrix, Size]:
        factor = pixels / size[1]
        return np.array([[factor, 0, 0], [0, factor, 0]]), (round(size[0] * factor / 2) * 2, pixels)

    return scale


def shake(most: int) -> Callable[[int, Size], tuple[Matrix, Size]]:
    """Shift every frame by so many pixels of a picture 640 pixels wide at most."""

    def shift(number: int, size: Size) -> tuple[Matrix, Size]:
        x, y = np.random.default_rng(number).uniform(-most, most, 2) * size[0] / 640
        return np.array([[1, 0, x], [0, 1, y]]), size

    return shift


def dark(image: Image, _number: int) -> Image:
    return cv2.LUT(image, (255 * (np.arange(256) / 255) ** (1 / 0.4)).round().astype(np.uint8))


def backlit(image: Image, _number: int) -> Image:
    """Reduce the exposure, and add the veil of a window at the upper edge."""
    rows, columns = image.shape[:2]
    y, x = np.ogrid[:rows, :columns]
    veil = 150 * np.exp(-(((x - columns / 2) / (0.35 * columns)) ** 2) - (y / (0.6 * rows)) ** 2)
    return (0.35 * image + veil[..., None]).clip(0, 255).astype(np.uint8)


def noise(deviation: float) -> Callable[[Image, int], Image]:
    """Add the noise of a sensor at night."""

    def add(image: Image, number: int) -> Image:
        return cv2.add(image, np.random.default_rng(number).normal(0, deviation, image.shape), dtype=cv2.CV_8U)

    return add


@dataclass(frozen=True)
class Variant:
    """One stress.

    Attributes:
        move: Gives the transformation of a frame and the new size, from the frame's number and size.
        light: Changes of a frame's brightness, in order.
        rate: Frames a second; None: as the clip.
        encoder: Further options of the encoder.
        undone_by: Setting of face-app, as section, name and value, that shows the clip unmoved.
    """

    move: Callable[[int, Size], tuple[Matrix, Size]] = unmoved
    light: tuple[Callable[[Image, int], Image], ...] = ()
    rate: int | None = None
    encoder: Mapping[str, str] = field(default_factory=dict)
    undone_by: tuple[str, str, str] | None = None


VARIANTS = {
    "as it is": Variant(),
    "on its side": Variant(on_its_side, undone_by=("camera", "rotate", "270")),
    "gamma 0.4": Variant(light=(dark,)),
    "gamma 0.4, noise 8": Variant(light=(dark, noise(8))),
    "backlit": Variant(light=(backlit,)),
    "noise 20": Variant(light=(noise(20),)),
    "5 fps": Variant(rate=5),
    "12 fps": Variant(rate=12),
    "crf 38": Variant(encoder={"crf": "38"}),
    "480p": Variant(height(480)),
    "4K": Variant(height(2160)),
    "shake 12 px": Variant(shake(12)),
    "shake 36 px": Variant(shake(36)),
}
SLOW = {"4K"}
"""Variants that a quick run leaves out."""


def watch(clip: Clip, variant: str, programs: list[Program], out: Path) -> Iterator[Watched]:
    """Make a variant of a clip, and run every program on it.

    A version of face-app that has a setting against the stress is run with it, and is judged by the unmoved labels.
    """
    stress, name = VARIANTS[variant], f"{clip.name}, {variant}"
    file, frames, size = make(clip, variant, out)
    undoing = [program for program in programs if _undoes(program, stress)]
    others = [program for program in programs if program not in undoing]
    if others:
        as_seen = clip.changed(file, frames, lambda number, box: moved(box, stress.move(number, size)[0]), name)
        yield scores.watch(as_seen, others, out)
    if undoing:
        section, setting, value = stress.undone_by
        settings = {f"FACE_APP_{section}__{setting}".upper(): value}
        yield scores.watch(clip.changed(file, frames, lambda _, box: box, f"{name}, undone"), undoing, out, settings)


def _undoes(program: Program, stress: Variant) -> bool:
    return bool(stress.undone_by) and program.source.is_dir() and has_setting(program, *stress.undone_by[:2])


def make(clip: Clip, variant: str, out: Path) -> tuple[Path, list[int], Size]:
    """Encode a variant unless the same recipe has made it; return it, the old frames that it shows, the old size."""
    video = cv2.VideoCapture(str(clip.file))
    size = int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))
    stress, rate = VARIANTS[variant], Fraction(video.get(cv2.CAP_PROP_FPS)).limit_denominator(1001)
    stretch = STRETCHES.get(clip.name, range(int(video.get(cv2.CAP_PROP_FRAME_COUNT))))
    step = rate / min(stress.rate or rate, rate)
    frames = [stretch[int(number * step)] for number in range(int(len(stretch) / step))]
    recipe = hashlib.sha256(Path(__file__).read_bytes() + clip.file.read_bytes()).hexdigest()[:8]
    file = out / f"stress-{clip.name}-{variant.replace(', ', '-').replace(' ', '-')}-{recipe}.mp4"
    if not file.exists():
        clips.write(file, _images(clip.file, frames, stress, size), rate / step, **(ENCODER | stress.encoder))
    return file, frames, size


def _images(file: Path, frames: list[int], stress: Variant, size: Size) -> Iterator[Image]:
    wanted = set(frames)
    old = (image for number, image in enumerate(clips.frames(file)) if number in wanted)
    return (changed(image, number, stress, size) for number, image in enumerate(old))


def changed(image: Image, number: int, stress: Variant, size: Size) -> Image:
    """Return a frame under stress."""
    if stress.move is not unmoved:
        matrix, new_size = stress.move(number, size)
        image = cv2.warpAffine(image, matrix, new_size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    for change in stress.light:
        image = change(image, number)
    return image


def moved(box: Box, matrix: Matrix) -> Box:
    """Return the upright box around a transformed one."""
    x1, y1, x2, y2 = box
    (left, right), (top, bottom) = np.sort(matrix @ [[x1, x2], [y1, y2], [1, 1]])
    return float(left), float(top), float(right), float(bottom)
