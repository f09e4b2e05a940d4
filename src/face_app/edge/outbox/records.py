"""A face at the edge, before and after it is committed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from face_app.common.metadata import FaceMetadata
from face_app.common.wire import FaceId


@dataclass(frozen=True)
class EncodedImage:
    """A picture as a file.

    Attributes:
        data: JPEG or PNG.
        suffix: Which of them.
    """

    data: bytes
    suffix: Literal["jpg", "png"]


@dataclass(frozen=True)
class NewFace:
    """A face that is not committed yet.

    Attributes:
        image: Its pixels, encoded.
        metadata: What is known about it.
    """

    image: EncodedImage
    metadata: FaceMetadata


@dataclass(frozen=True)
class Face:
    """A face of the outbox.

    Attributes:
        id: Which face.
        key: Name of its object.
        sha256: Hex digest of its file.
        score: How good a picture it is, 0 to 1.
        captured_at: When its frame was taken, seconds since 1970.
        state: ``waiting``, ``stored``, ``refused``, ``expired`` or ``erased``.
        reason: Why the cloud refused it, or why it was given up; empty otherwise.
        settled_at: When its state last changed, by this machine's clock, seconds since 1970.
    """

    id: FaceId
    key: str
    sha256: str
    score: float
    captured_at: float
    state: str = "waiting"
    reason: str = ""
    settled_at: float | None = None


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
