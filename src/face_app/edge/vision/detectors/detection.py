"""Define a detected face, and the protocol of every detector."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from face_app.edge.image import Box, Image

Landmarks: TypeAlias = tuple[tuple[float, float], ...]
"""Right eye, left eye, nose, right and left mouth corner as x, y in pixels of the frame; or empty."""


@dataclass(frozen=True)
class Detection:
    """Describes one face in one frame.

    Attributes:
        box: x1, y1, x2, y2, clamped to the frame, pixels.
        landmarks: Five points; empty if the detector does not locate them.
        score: Confidence of the detector, 0 to 1; 1 if it reports none.
    """

    box: Box
    landmarks: Landmarks
    score: float


class Detector(Protocol):
    """Finds faces in a frame.

    Attributes:
        name: Name of the detector, for the metadata of each face.
    """

    name: str

    def detect(self, image: Image) -> list[Detection]:
        """Return the faces of one frame (H x W x 3, BGR) whose score is at least ``detector.keep``."""
