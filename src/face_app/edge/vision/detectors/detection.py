"""Define a detected face, and the protocol of every detector."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from face_app.edge.image import Box, Image
from face_app.edge.vision.enhance import DAYLIGHT, Light

Landmarks: TypeAlias = tuple[tuple[float, float], ...]
"""Right eye, left eye, nose, right and left mouth corner as x, y in pixels of the frame; or empty."""


@dataclass(frozen=True)
class Detection:
    """Describes one face in one frame.

    Attributes:
        box: x1, y1, x2, y2, clamped to the frame, pixels.
        landmarks: Five points; empty if the detector does not locate them.
        score: Confidence of the detector, 0 to 1; 1 if it reports none.
        sure: True if it may start a track by itself, because the score is high enough for where it was found.
    """

    box: Box
    landmarks: Landmarks
    score: float
    sure: bool = False


@dataclass(frozen=True)
class Region:
    """Describes a part of a frame, and the size at which a detector reads it.

    Attributes:
        box: x1, y1, x2, y2 inside the frame, whole pixels.
        size: Width and height of the detector's input, pixels.
    """

    box: tuple[int, int, int, int]
    size: tuple[int, int]

    @property
    def scale(self) -> float:
        """Return the width of the input per width of the frame's part."""
        return self.size[0] / (self.box[2] - self.box[0])


class Detector(Protocol):
    """Finds faces in a frame.

    Attributes:
        name: Name of the detector, for the metadata of each face.
        width: Length to which `detect` scales the longer side of a whole frame, pixels; None: it reads no regions.
    """

    name: str
    width: int | None

    def detect(self, image: Image, region: Region | None = None, light: Light = DAYLIGHT) -> list[Detection]:
        """Return the faces whose score is at least ``detector.keep``, in pixels of the frame.

        Args:
            image: H x W x 3, BGR.
            region: Part of the frame to read; None: the whole frame.
            light: Light of the frame, by which the detector's input is enhanced.
        """
