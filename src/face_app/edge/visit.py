"""The last word on a visit."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Visit:
    """A visit that is over: somebody was seen by a camera from one moment to another.

    Attributes:
        camera: Which camera.
        track: Number of the visit, per camera and run.
        first_at: When its first frame was taken (aware).
        last_at: When its last frame was taken (aware).
        looks: How often the face was looked at.
        shots: Pictures that were kept; 0 where none was good enough (``shot.least``).
        best: Quality of the best picture that was kept; where none was, of the best that there was; 0 to 1.
    """

    camera: str
    track: int
    first_at: datetime
    last_at: datetime
    looks: int
    shots: int
    best: float
