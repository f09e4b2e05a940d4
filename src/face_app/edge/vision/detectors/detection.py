"""A face in a frame, and what every detector has."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from face_app.edge.image import Box, Image

Landmarks: TypeAlias = tuple[tuple[float, float], ...]
"""Right eye, left eye, nose, right and left mouth corner as x, y in pixels of the frame; or empty."""


@dataclass(frozen=True)
class Detection:
    """One face in one frame.

    Attributes:
        box: The face, clamped to the frame, pixels.
        landmarks: Its five points, or none from a detector that knows none.
        score: The detector's confidence, 0 to 1; 1 where it has none.
    """

    box: Box
    landmarks: Landmarks
    score: float


class Detector(Protocol):
    """Finds faces. `name` goes into the metadata of each."""

    name: str

    def detect(self, image: Image) -> list[Detection]:
        """Find the faces of one frame (H x W x 3, BGR): all whose score is at least ``detector.keep``."""
