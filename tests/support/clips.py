"""Pictures and clips of drawn faces that the real detectors take for faces; no person is in any."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from face_app.edge.image import Image

RATE = 20.0
SIZE = (320, 240)
VISIT, ABSENCE = 1.0, 2.0
"""Seconds with a face in `visits_clip`, and seconds without one: long enough that only the same person is joined."""


def empty_frame(size: tuple[int, int] = SIZE) -> Image:
    return np.full((size[1], size[0], 3), (180, 170, 160), np.uint8)


HAIR = ((30, 40, 60), (80, 170, 220), (30, 30, 160))
CLOTHES = ((150, 60, 30), (50, 150, 40), (40, 40, 190))
"""Colours (BGR) of persons who do not resemble each other."""


def draw_face(image: Image, x: int, y: int, half: int, look: int = 0) -> None:
    """Draw a face that YuNet and Haar both take for one: centre and half its width, pixels, and number of the person.

    Only persons of numbers above 0 wear coloured clothes.
    """

    def ellipse(
        dx: float, dy: float, across: float, down: float, colour: tuple[int, int, int], *, start: int = 0
    ) -> None:
        centre = (x + round(dx * half), y + round(dy * half))
        axes = (round(across * half), round(down * half))
        cv2.ellipse(image, centre, axes, 0, start, 360, colour, -1, cv2.LINE_AA)

    dark, hair = HAIR[0], HAIR[look % len(HAIR)]
    skin, shade, white = (140, 170, 215), (90, 120, 170), (245, 245, 245)
    if look:
        ellipse(0, 3, 1.8, 1.5, CLOTHES[look % len(CLOTHES)])
    ellipse(0, -0.25, 1.08, 1.25, hair)
    ellipse(0, 0, 1, 1.3, skin)
    for side in (-0.4, 0.4):
        ellipse(side, -0.37, 0.26, 0.08, dark, start=180)
        ellipse(side, -0.15, 0.2, 0.11, white)
        ellipse(side, -0.15, 0.1, 0.1, dark)
    ellipse(0, 0.32, 0.16, 0.1, shade)
    ellipse(0, 0.7, 0.38, 0.14, (60, 60, 160))


def drawn(*faces: tuple[int, int, int], size: tuple[int, int] = SIZE, look: int = 0) -> Image:
    """Draw a frame with faces: centre and half the width of each, pixels; all of one person's look."""
    image = empty_frame(size)
    for face in faces:
        draw_face(image, *face, look)
    return cv2.GaussianBlur(image, (0, 0), 1)  # type: ignore[return-value]


def write_clip(path: Path, frames: Sequence[Image], rate: float = RATE) -> Path:
    """Write a video, Motion JPEG."""
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def face_clip(path: Path, seconds: float) -> Path:
    """Write a video of one visit: a face that moves a little."""
    return write_clip(path, [drawn((150 + index % 20, 120, 40)) for index in range(round(seconds * RATE))])


def visits_clip(path: Path, visits: int) -> Path:
    """Write a video of several visits: a person comes and goes, then another comes elsewhere. Each gives one shot."""
    present, absent = round(VISIT * RATE), round(ABSENCE * RATE)
    places = [80 + 80 * (number % 3) for number in range(visits)]
    frames = [
        frame
        for number, x in enumerate(places)
        for frame in [
            *(drawn((x + index % 20, 120, 40), look=number % len(HAIR)) for index in range(present)),
            *[empty_frame()] * absent,
        ]
    ]
    return write_clip(path, frames)


def photo(path: Path, faces: int = 1) -> Path:
    """Write a picture of so many faces side by side. Played in a loop it is so many visits each time it comes."""
    image = drawn(*((80 + 120 * number, 120, 40) for number in range(faces)), size=(40 + 120 * faces, 240))
    assert cv2.imwrite(str(path), image)
    return path
