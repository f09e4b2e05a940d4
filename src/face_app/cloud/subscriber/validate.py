"""What becomes of a message: under which key it is kept, and what its sender is told."""

import re
from dataclasses import dataclass
from datetime import datetime, timezone

from face_app.common.errors import MessageError
from face_app.common.metadata import FaceMetadata, read_image
from face_app.common.wire import NAME, SEED_TOPIC, FaceId, FaceTopic, face_of_key, object_key

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
class Decision:
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


def judge(topic: str, payload: bytes, sha256: str, at: datetime, limits: Limits) -> Decision:
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
            return Decision(bare_image_key(at, sha256, image.suffix), None)
        if image.face_id is None or image.metadata is None:
            raise MessageError("no-metadata", "an image without the metadata of face-app")
        face = image.face_id
        return Decision(_face_key(topic, face, image.metadata, sha256, image.suffix), edge, face)
    except MessageError as error:
        return Decision(quarantine_key(error.reason, sha256), edge, face, error.reason, str(error))


def _face_key(topic: str, face_id: FaceId, metadata: FaceMetadata, sha256: str, suffix: str) -> str:
    place = FaceTopic.parse(topic)
    if metadata.edge != place.edge:
        raise MessageError("wrong-edge", f"the file says {metadata.edge[:80]!r}, its topic {place.edge!r}")
    if metadata.camera != place.camera:
        raise MessageError("wrong-camera", f"the file says {metadata.camera[:80]!r}, its topic {place.camera!r}")
    key = object_key(place, face_id, metadata.captured_at, sha256, suffix)
    # The books are kept by listing keys: one that cannot be read back would be a face nobody counts.
    if face_of_key(key) != face_id:
        raise MessageError("bad-metadata", f"captured {metadata.captured_at} gives a key that cannot be read back")
    return key


def quarantine_key(reason: str, sha256: str) -> str:
    """Where the copy of a refused message is kept: the same message, the same key."""
    return f"quarantine/{reason}/{sha256}.bin"


def bare_image_key(at: datetime, sha256: str, suffix: str) -> str:
    """Where a bare image of the write-up's topic is kept, by the hour (UTC) of its arrival."""
    hour = at.astimezone(timezone.utc).strftime("%Y/%m/%d/%H")
    return f"test/seed/{hour}/face-{sha256[:12]}.{suffix}"
