"""Validate messages: decide the object key, or the quarantine key and the reason."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from face_app.cloud.bucket.selection import Described, visit_of
from face_app.common.errors import MessageError
from face_app.common.metadata import Decode, FaceMetadata, decoded_size, read_image
from face_app.common.wire import NAME, SEED_TOPIC, FaceId, FaceTopic, face_of_key, object_key

NO_EDGE = "-"
"""Stands for the edge of a message whose topic names none; no edge has this name."""

_EDGE = re.compile(rf"face_app/({NAME})/.+")


@dataclass(frozen=True)
class Limits:
    """Contains the size limits of a message.

    Attributes:
        bytes: Maximum size of the payload.
        pixels: Maximum size of the image, width x height.
    """

    bytes: int
    pixels: int


@dataclass(frozen=True)
class Decision:
    """Describes the decision about one message. Its bytes are stored in either case.

    Attributes:
        key: Key of the face, or of the refused message in quarantine.
        edge: Recipient of the receipt; None if the topic names no edge.
        face: Id of the face, if readable.
        refused: Reason of the refusal in one word; empty for a valid message.
        detail: Reason with its details, for the log; empty for a valid message.
        described: The face as tombstones compare it, with what of it is known.
    """

    key: str
    edge: str | None
    face: FaceId | None = None
    refused: str = ""
    detail: str = ""
    described: Described | None = None


def edge_of(topic: str) -> str | None:
    """Return the edge that a topic names; None if it names none."""
    match = _EDGE.fullmatch(topic)
    return match[1] if match else None


def validate(  # noqa: PLR0913
    topic: str, payload: bytes, sha256: str, at: datetime, limits: Limits, *, decode: Decode = decoded_size
) -> Decision:
    """Validate a message without any state: equal messages of one hour get equal decisions.

    Args:
        topic: Topic of the message.
        payload: Received bytes.
        sha256: Hex digest of the payload.
        at: Time of arrival (aware).
        limits: Size limits.
        decode: Decodes the pixels.

    Raises:
        MemoryError: This machine is out of memory; the message may be valid.
        OSError: This machine failed; the message may be valid.
    """
    edge = edge_of(topic)
    face = None
    metadata = None
    try:
        if len(payload) > limits.bytes:
            raise MessageError("too-large", f"{len(payload)} bytes > {limits.bytes}")
        image = read_image(payload, max_pixels=limits.pixels, decode=decode)
        if topic == SEED_TOPIC:
            return Decision(bare_image_key(at, sha256, image.suffix), None)
        if image.face_id is None or image.metadata is None:
            raise MessageError("no-metadata", "an image without the metadata of face-app")
        face, metadata = image.face_id, image.metadata
        key = _face_key(topic, face, metadata, sha256, image.suffix)
        return Decision(key, edge, face, described=_described(key, edge, metadata))
    except MessageError as error:
        refused = refusal(error, edge, face, sha256)
        return replace(refused, described=_described(refused.key, edge, metadata))


def _described(key: str, edge: str | None, metadata: FaceMetadata | None) -> Described:
    if metadata is None:
        return Described(key, edge or NO_EDGE)
    return Described(key, edge or NO_EDGE, metadata.camera, metadata.captured_at, visit_of(key, metadata))


def _face_key(topic: str, face_id: FaceId, metadata: FaceMetadata, sha256: str, suffix: str) -> str:
    place = FaceTopic.parse(topic)
    if metadata.edge != place.edge:
        raise MessageError("wrong-edge", f"the file names {metadata.edge[:80]!r}, its topic {place.edge!r}")
    if metadata.camera != place.camera:
        raise MessageError("wrong-camera", f"the file names {metadata.camera[:80]!r}, its topic {place.camera!r}")
    key = object_key(place, face_id, metadata.captured_at, sha256, suffix)
    # The audit lists keys. A face under a key that it cannot parse would be in no count.
    if face_of_key(key) != face_id:
        raise MessageError("bad-metadata", f"captured {metadata.captured_at} gives a key that cannot be parsed")
    return key


def refusal(error: MessageError, edge: str | None, face: FaceId | None, sha256: str) -> Decision:
    """Return the decision to refuse a message; equal messages have equal keys."""
    key = f"quarantine/{edge or NO_EDGE}/{error.reason}/{sha256}.bin"
    return Decision(key, edge, face, error.reason, str(error))


def bare_image_key(at: datetime, sha256: str, suffix: str) -> str:
    """Return the key of an image on the original homework's topic, by the hour (UTC) of its arrival."""
    hour = at.astimezone(timezone.utc).strftime("%Y/%m/%d/%H")
    return f"test/seed/{hour}/face-{sha256[:12]}.{suffix}"
