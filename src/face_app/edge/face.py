"""A face at the edge, before and after it is committed."""

from collections.abc import Callable
from dataclasses import dataclass

from face_app.edge.image import Encoded
from face_app.metadata import FaceMetadata
from face_app.wire import FaceId


@dataclass(frozen=True)
class NewFace:
    """A face that is not committed yet.

    Attributes:
        image: Its pixels, encoded.
        describe: Makes the metadata, once the face has a number.
    """

    image: Encoded
    describe: Callable[[FaceId], FaceMetadata]


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
