"""Define the records of the outbox: faces before and after their commit, and visits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from face_app.common.metadata import FaceMetadata
from face_app.common.wire import FaceId


@dataclass(frozen=True)
class EncodedImage:
    """Contains one encoded image.

    Attributes:
        data: Bytes of the whole file.
        suffix: Format of the file.
    """

    data: bytes
    suffix: Literal["jpg", "png"]


@dataclass(frozen=True)
class NewFace:
    """Describes a face that is not committed yet, so it has no id.

    Attributes:
        image: Crop of the face, without metadata.
        metadata: Metadata that the outbox writes into the image together with the id.
        origin: Digest of the message that it came from, which a broker may deliver again; empty if it came from frames.
    """

    image: EncodedImage
    metadata: FaceMetadata
    origin: str = ""


@dataclass(frozen=True)
class Face:
    """Describes a committed face, as its row in the outbox does.

    Attributes:
        id: Outbox id and sequence number.
        key: Key of its object in the bucket.
        sha256: Hex digest of the image file.
        score: Quality of the shot, 0 to 1.
        captured_at: Capture time of its frame, seconds since 1970.
        state: ``waiting``, ``stored``, ``refused``, ``expired`` or ``erased``.
        reason: Reason of a refusal or an expiry; empty in the other states.
        updated_at: Time of the last state change by the local clock, seconds since 1970; None before the first.
    """

    id: FaceId
    key: str
    sha256: str
    score: float
    captured_at: float
    state: str = "waiting"
    reason: str = ""
    updated_at: float | None = None


@dataclass(frozen=True)
class Mark:
    """Describes how far an outbox has numbered its faces.

    Attributes:
        id: Id of the outbox.
        sequence: Last number that was given.
        opening: Token of the program run that gave it, 16 hex digits.
        first: First number of that run.
    """

    id: str
    sequence: int
    opening: str
    first: int


@dataclass(frozen=True)
class Visit:
    """Describes a visit that has ended: one track of one camera.

    Attributes:
        camera: Name of the camera.
        track: Number of the visit; each run of a camera counts from 1.
        first_at: Time of the first frame (aware).
        last_at: Time of the last frame (aware).
        looks: Number of frames in which the detector found the face.
        shots: Number of selected shots; 0 if the visit was dismissed.
        best: Quality of the best candidate, 0 to 1.
        dismissed: Reason for which the visit has no shot; otherwise empty.
    """

    camera: str
    track: int
    first_at: datetime
    last_at: datetime
    looks: int
    shots: int
    best: float
    dismissed: str = ""
