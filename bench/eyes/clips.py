"""Clips as a camera gives them: 1280x720, 25 frames a second, H.264 of at most 4 Mbit/s, with the noise of a sensor."""

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from face_app.edge.image import Image

SIZE = (1280, 720)
RATE = 25
ENCODER = {"preset": "veryfast", "bf": "0", "crf": "23", "maxrate": "4M", "bufsize": "4M"}
"""Defaults of network cameras: no better than needed, 4 Mbit/s at most, nothing that
refers to a later frame."""
LARGE = {"maxrate": "6M", "bufsize": "6M"}
"""The same for 1080p."""
NOISE = 2.0
"""Standard deviation of the noise, of 255; without it, a frame that was shown twice would cost nothing."""

PARTS = {
    "rooms": (
        "face-demographics-walking.gif",
        "face-demographics-walking-and-pause.gif",
        "head-pose-face-detection-female-and-male.gif",
        "classroom.gif",
        "WolfgangLanger_Pexels.mp4",
    ),
    "static": ("passages_768x432.mp4",),
}
SHOP = "Retail02_short.mp4"
"""A scene of 1920x1080 that has its own noise and movement."""
KINDS = ("street", *PARTS, "shop", "shop_static")
"""Kinds of clips: 720p, then 1080p."""
STREET_PHOTOS, STREET_FACES = 10, range(5, 10)
"""So many photos of streets with so many faces; each fills its share of the clip."""
EMPTY_FRAMES = 54
"""Time for which the doorway is empty before a person comes."""


def make_clip(data: Path, out: Path, kind: str, length: int) -> Path:
    """Make a clip, or take the one that the same recipe has made.

    Every part of a busy clip gets its share of the frames, so that a short one shows the same as a long one.

    Args:
        data: The data folder.
        out: Folder of the clips.
        kind: One of `KINDS`.
        length: Number of its frames.
    """
    clip = out / f"{kind}-{length}-{_recipe()}.mp4"
    if not clip.exists():
        shop = frames(data / "videos" / SHOP)
        if kind == "shop":
            write(clip, itertools.islice(shop, length), **LARGE)
        elif kind == "shop_static":
            write(clip, _noisy(itertools.repeat(next(shop), length)), **LARGE)
        else:
            images = _street(data / "images", length) if kind == "street" else _images(data / "videos", kind, length)
            write(clip, _noisy(images))
    return clip


def repeat(clip: Path, times: int, longer: Path) -> None:
    """Write a clip several times over into one file, as it is encoded."""
    with av.open(str(longer), "w") as target:
        stream = None
        for number in range(times):
            with av.open(str(clip)) as source:
                (video,) = source.streams
                stream = stream or target.add_stream_from_template(video)
                for packet in source.demux(video):
                    if packet.dts is None:  # the demuxer's end
                        continue
                    packet.pts += number * video.duration
                    packet.dts += number * video.duration
                    packet.stream = stream
                    target.mux(packet)


def _recipe() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]


def _street(images: Path, frames: int) -> Iterator[Image]:
    """Show photos of some people each, one after the other."""
    labelled = json.loads((images / "fmd_boxes.json").read_text())
    chosen = [name for name, faces in sorted(labelled.items()) if len(faces) in STREET_FACES][:STREET_PHOTOS]
    photos = [
        cv2.resize(cv2.imread(str(images / "fmd" / name)), SIZE, interpolation=cv2.INTER_CUBIC) for name in chosen
    ]
    yield from (photos[number * len(photos) // frames] for number in range(frames))


def _images(videos: Path, kind: str, frames: int) -> Iterator[Image]:
    parts = PARTS[kind]
    for number, name in enumerate(parts):
        share = frames * (number + 1) // len(parts) - frames * number // len(parts)
        if share:
            yield from _resampled(videos / name, share, EMPTY_FRAMES if kind == "static" else None)


def _resampled(file: Path, frames: int, most: int | None) -> Iterator[Image]:
    """Play a video at our rate and size; forth and back, where it is too short."""
    video = cv2.VideoCapture(str(file))
    step = video.get(cv2.CAP_PROP_FPS) / RATE
    wanted = min(most or math.inf, math.ceil(frames * step))
    images = []
    while len(images) < wanted and (taken := video.read())[0]:
        images.append(taken[1])
    there_and_back = itertools.cycle([*images, *images[-2:0:-1]])
    shown, image = -1, images[0]
    for number in range(frames):
        while shown < int(number * step):
            shown, image = shown + 1, next(there_and_back)
        yield cv2.resize(image, SIZE, interpolation=cv2.INTER_CUBIC)


def _noisy(images: Iterable[Image]) -> Iterator[Image]:
    random, room = np.random.default_rng(0), 64
    field = None
    for image in images:
        rows, columns = image.shape[:2]
        if field is None:
            field = random.normal(0, NOISE, (rows + room, columns + room, 3)).round().astype(np.int16)
        x, y = random.integers(room, size=2)
        yield cv2.add(image, field[y : y + rows, x : x + columns], dtype=cv2.CV_8U)


def one_frame(file: Path, out: Path) -> Path:
    """Make a clip of a video's first frame, on which a program does little more than start."""
    clip = out / f"one-{file.stem}.mp4"
    if not clip.exists():
        write(clip, itertools.islice(frames(file), 1))
    return clip


def frames(file: Path) -> Iterator[Image]:
    """Decode a video."""
    video = cv2.VideoCapture(str(file))
    while (taken := video.read())[0]:
        yield taken[1]


def write(file: Path, images: Iterable[Image], rate: Fraction | int = RATE, **encoder: str) -> None:
    """Encode as cameras do, with a key frame every two seconds."""
    images = iter(images)
    first = next(images)
    unfinished = file.with_suffix(".part.mp4")
    with av.open(str(unfinished), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options=ENCODER | encoder)
        stream.width, stream.height, stream.pix_fmt = first.shape[1], first.shape[0], "yuv420p"
        stream.gop_size = round(2 * rate)
        for image in itertools.chain([first], images):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    unfinished.rename(file)
