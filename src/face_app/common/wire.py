"""Define the contracts between edge and cloud: face ids, topics, object keys, receipts."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal, get_args

from face_app.common.errors import MessageError

FACES = "face_app/#"
Result = Literal["stored", "refused", "erased"]
SEED_TOPIC = "face_app/test"
STATUS_BYTES = 16_384
"""Maximum bytes of a state of a camera; one has less than 2,000."""
RECEIPTS_BYTES = 262_144
"""Maximum bytes of a message of receipts. A subscriber puts 100 receipts in one, each of at most 700 bytes."""
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
"""Pattern of the name of an edge, camera or subscriber: valid as topic level, path segment and certificate CN."""

RESERVED = frozenset({"audits", "erased", "marks", "quarantine", "test"})
"""Names that no edge may have: the bucket has objects of other kinds under these prefixes."""

_REASON = r"[a-z0-9-]{0,63}"
_RESULT = r"[a-z][a-z0-9-]{0,62}"
_KEY = re.compile(
    rf"(?P<edge>{NAME})/(?P<camera>{NAME})/[0-9]{{4}}/[0-9]{{2}}/[0-9]{{2}}/[0-9]{{2}}/"
    r"face-(?P<outbox>[0-9a-f]{8})-(?P<sequence>[0-9]{9,29})-(?P<sha>[0-9a-f]{12})\.(?:jpg|png)"
)


@dataclass(frozen=True, order=True)
class FaceId:
    """Identifies a face by the outbox that committed it, and by its sequence number there.

    Attributes:
        outbox: Id of the outbox: 8 hex digits, random for each file.
        sequence: Sequence number, counted from 1 without gaps.
    """

    outbox: str
    sequence: int

    def __str__(self) -> str:
        return f"{self.outbox}{self.sequence:024x}"

    @classmethod
    def parse(cls, text: str) -> "FaceId":
        """Parse the 32 hex digits that `str` returns.

        Raises:
            MessageError: `text` has another form.
        """
        if not re.fullmatch(r"[0-9a-f]{32}", text):
            raise MessageError("bad-id", f"{text[:40]!r} is not 32 hex digits")
        return cls(text[:8], int(text[8:], 16))


@dataclass(frozen=True)
class FaceTopic:
    """Contains the topic of a face: ``face_app/<edge>/<camera>``."""

    edge: str
    camera: str

    def __str__(self) -> str:
        return f"face_app/{self.edge}/{self.camera}"

    @classmethod
    def parse(cls, topic: str) -> "FaceTopic":
        """Parse a topic.

        Raises:
            MessageError: The topic has other levels, a name that is not a valid path segment, or a reserved one.
        """
        match = re.fullmatch(rf"face_app/({NAME})/({NAME})", topic)
        if not match:
            raise MessageError("foreign-topic", f"{topic[:80]!r} is not face_app/<edge>/<camera>")
        if match[1] in RESERVED:
            raise MessageError("reserved-name", f"no edge may have the name {match[1]!r}")
        return cls(match[1], match[2])


def receipts_topic(edge: str, subscriber: str) -> str:
    """Return the topic of the receipts of one subscriber for one edge."""
    return f"receipts/{edge}/{subscriber}"


STATUS_TOPIC = re.compile(rf"status/({NAME})/({NAME})")
"""Pattern of the topic of a state."""


def status_topic(edge: str, camera: str) -> str:
    """Return the topic of the retained state of one camera."""
    return f"status/{edge}/{camera}"


def hop_topics(edge: str) -> tuple[str, str]:
    """Return the topics of the retained states (``1`` or ``0``) of both hops: to the forwarder, and to the cloud."""
    return f"link/{edge}/forwarder", f"link/{edge}/cloud"


def object_key(topic: FaceTopic, face: FaceId, captured_at: datetime, sha256: str, suffix: str) -> str:
    """Return the object key of a face; equal messages have equal keys.

    Args:
        topic: Edge and camera.
        face: Id of the face, as in the file's metadata.
        captured_at: Time of capture (aware); the key contains it in UTC.
        sha256: Hex digest of the whole file.
        suffix: ``jpg`` or ``png``.
    """
    hour = captured_at.astimezone(timezone.utc).strftime("%Y/%m/%d/%H")
    name = f"face-{face.outbox}-{face.sequence:09d}-{sha256[:12]}.{suffix}"
    return f"{topic.edge}/{topic.camera}/{hour}/{name}"


def face_of_key(key: str) -> FaceId | None:
    """Parse the face id in an object key; return None for any other key."""
    match = _KEY.fullmatch(key)
    return FaceId(match["outbox"], int(match["sequence"])) if match else None


@dataclass(frozen=True)
class Receipt:
    """Contains the answer of the cloud to one message.

    Attributes:
        id: Id of the face; None if the message has no readable id.
        sha256: Hex digest of the payload as it arrived.
        key: Key of the face, or of the refused message in quarantine.
        at: Time when the store confirmed the bytes, or the tombstone was found (aware).
        result: ``stored``; ``refused``; ``erased``: a tombstone covers the face, and the cloud has no copy of it.
        reason: Reason of a refusal; empty for the other results.
    """

    id: FaceId | None
    sha256: str
    key: str
    at: datetime
    result: Result
    reason: str = ""

    def document(self) -> dict[str, Any]:
        """Return the receipt as plain JSON values."""
        return {
            "id": str(self.id) if self.id else None,
            "sha256": self.sha256,
            "key": self.key,
            "at": self.at.astimezone(timezone.utc).isoformat(),
            "result": self.result,
            "reason": self.reason,
        }


def dump_receipts(receipts: Iterable[Receipt]) -> bytes:
    """Serialize receipts as one message: one receipt as an object, several as a list."""
    documents = [receipt.document() for receipt in receipts]
    return json.dumps(documents[0] if len(documents) == 1 else documents, separators=(",", ":")).encode()


def load_receipts(payload: bytes) -> list[Receipt]:
    """Parse one message of receipts.

    A receipt with an unknown result is excluded: a later version of the cloud wrote it. Its face waits.

    Raises:
        MessageError: A part of the payload is not a receipt; then no receipt of the message is used.
    """
    try:
        documents = json.loads(payload)
        receipts = [_receipt(each) for each in (documents if isinstance(documents, list) else [documents])]
        return [receipt for receipt in receipts if receipt.result in get_args(Result)]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise MessageError("bad-receipt", f"{error!r:.200}") from error


def _receipt(document: dict[str, Any]) -> Receipt:
    at = datetime.fromisoformat(document["at"])
    at.astimezone(timezone.utc)  # OverflowError near the years 1 and 9999
    result = document["result"]
    sha256 = document["sha256"]
    if not re.fullmatch(_RESULT, result) or not re.fullmatch(r"[0-9a-f]{64}", sha256) or at.tzinfo is None:
        raise ValueError(f"result {result!r}, sha256 {sha256!r}, at {at}")
    reason = document.get("reason", "")
    # The reason becomes a metric label and a value in the outbox; neither accepts every JSON string.
    if not re.fullmatch(_REASON, reason):
        raise ValueError(f"reason {reason[:80]!r}")
    face = None if document["id"] is None else FaceId.parse(document["id"])
    return Receipt(face, sha256, str(document["key"]), at, result, reason)
