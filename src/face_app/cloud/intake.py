"""What becomes of a message: under which key it is kept, and what its sender is told."""

import re
from dataclasses import dataclass
from datetime import datetime

from face_app.cloud.keys import bare_image_key, quarantine_key
from face_app.errors import MessageError
from face_app.metadata import FaceMetadata, read_image
from face_app.wire import NAME, SEED_TOPIC, FaceId, FaceTopic, face_of_key, object_key

_EDGE = re.compile(rf"face_app/({NAME})/.+")


@dataclass(frozen=True)
class Limits:
    """What is refused for its size.

    Attributes:
        bytes: Largest payload.
        pixels: Largest image, width times height.
    """

    bytes: int
    pixels: int


@dataclass(frozen=True)
class Verdict:
    """What becomes of one message. Good or bad, its bytes are kept.

    Attributes:
        key: Where: the object's key, or the copy's in quarantine.
        edge: Whom to send a receipt; None where the topic names nobody.
        face: Its id, where that could be read.
        refused: One word for why it is refused; empty for a good message.
        detail: One line for the log; empty for a good message.
    """

    key: str
    edge: str | None
    face: FaceId | None = None
    refused: str = ""
    detail: str = ""


def judge(topic: str, payload: bytes, sha256: str, at: datetime, limits: Limits) -> Verdict:
    """Judge a message by itself alone: the same message and hour, the same verdict.

    Args:
        topic: Where it was published.
        payload: What arrived.
        sha256: Hex digest of the payload.
        at: When it arrived (aware).
        limits: What is too large.

    Raises:
        MemoryError: This machine is short of memory: no verdict, so the sender must not be told of one.
        OSError: As much.
    """
    match = _EDGE.fullmatch(topic)
    edge = match[1] if match else None
    face = None
    try:
        if len(payload) > limits.bytes:
            raise MessageError("too-large", f"{len(payload)} bytes > {limits.bytes}")
        image = read_image(payload, max_pixels=limits.pixels)
        if topic == SEED_TOPIC:
            return Verdict(bare_image_key(at, sha256, image.suffix), None)
        if image.metadata is None:
            raise MessageError("no-metadata", "an image without the metadata of face-app")
        face = image.metadata.id
        return Verdict(_face_key(topic, image.metadata, sha256, image.suffix), edge, face)
    except MessageError as error:
        return Verdict(quarantine_key(error.reason, sha256), edge, face, error.reason, str(error))


def _face_key(topic: str, metadata: FaceMetadata, sha256: str, suffix: str) -> str:
    place = FaceTopic.parse(topic)
    if metadata.edge != place.edge:
        raise MessageError("wrong-edge", f"the file says {metadata.edge[:80]!r}, its topic {place.edge!r}")
    if metadata.camera != place.camera:
        raise MessageError("wrong-camera", f"the file says {metadata.camera[:80]!r}, its topic {place.camera!r}")
    key = object_key(place, metadata.id, metadata.captured_at, sha256, suffix)
    # The books are kept by listing keys: one that cannot be read back would be a face nobody counts.
    if face_of_key(key) != metadata.id:
        raise MessageError("bad-metadata", f"captured {metadata.captured_at} gives a key that cannot be read back")
    return key
