"""Clips of drawn faces that the real detectors take for faces; no person is in any."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from face_app.edge.image import Image

RATE = 20.0
SIZE = (320, 240)


def empty_frame(size: tuple[int, int] = SIZE) -> Image:
    return np.full((size[1], size[0], 3), (180, 170, 160), np.uint8)


def draw_face(image: Image, x: int, y: int, half: int) -> None:
    """Draw a face that YuNet and Haar both take for one: centre and half its width, pixels."""

    def ellipse(dx, dy, across, down, colour, *, start=0) -> None:
        centre = (x + round(dx * half), y + round(dy * half))
        axes = (round(across * half), round(down * half))
        cv2.ellipse(image, centre, axes, 0, start, 360, colour, -1, cv2.LINE_AA)

    hair, skin, shade, white = (30, 40, 60), (140, 170, 215), (90, 120, 170), (245, 245, 245)
    ellipse(0, -0.25, 1.08, 1.25, hair)
    ellipse(0, 0, 1, 1.3, skin)
    for side in (-0.4, 0.4):
        ellipse(side, -0.37, 0.26, 0.08, hair, start=180)
        ellipse(side, -0.15, 0.2, 0.11, white)
        ellipse(side, -0.15, 0.1, 0.1, hair)
    ellipse(0, 0.32, 0.16, 0.1, shade)
    ellipse(0, 0.7, 0.38, 0.14, (60, 60, 160))


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
    """Write a video of one face that moves a little."""
    frames = []
    for index in range(round(seconds * RATE)):
        image = empty_frame()
        draw_face(image, 150 + index % 20, 120, 40)
        frames.append(cv2.GaussianBlur(image, (0, 0), 1))
    return write_clip(path, frames)
