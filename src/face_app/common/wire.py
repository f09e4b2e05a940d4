"""What travels between edge and cloud: the id of a face, topics, the object key, receipts."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from face_app.common.errors import MessageError

FACES = "face_app/#"
SEED_TOPIC = "face_app/test"
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
"""An edge, camera or subscriber: one topic level, one path segment, one certificate CN."""

_REASON = r"[a-z0-9-]{0,63}"
_KEY = re.compile(
    rf"(?P<edge>{NAME})/(?P<camera>{NAME})/[0-9]{{4}}/[0-9]{{2}}/[0-9]{{2}}/[0-9]{{2}}/"
    r"face-(?P<outbox>[0-9a-f]{8})-(?P<sequence>[0-9]{9,29})-(?P<sha>[0-9a-f]{12})\.(?:jpg|png)"
)


@dataclass(frozen=True, order=True)
class FaceId:
    """Which face: the outbox that committed it, and its number there.

    Attributes:
        outbox: 8 hex digits, made with the outbox file.
        sequence: Counts from 1, without a gap, in that outbox.
    """

    outbox: str
    sequence: int

    def __str__(self) -> str:
        return f"{self.outbox}{self.sequence:024x}"

    @classmethod
    def parse(cls, text: str) -> "FaceId":
        """Read the 32 hex digits that `str` gives.

        Raises:
            MessageError: `text` is anything else.
        """
        if not re.fullmatch(r"[0-9a-f]{32}", text):
            raise MessageError("bad-id", f"{text[:40]!r} is not 32 hex digits")
        return cls(text[:8], int(text[8:], 16))


@dataclass(frozen=True)
class FaceTopic:
    """Where a face is published: ``face_app/<edge>/<camera>``."""

    edge: str
    camera: str

    def __str__(self) -> str:
        return f"face_app/{self.edge}/{self.camera}"

    @classmethod
    def parse(cls, topic: str) -> "FaceTopic":
        """Read a topic back.

        Raises:
            MessageError: The topic has other levels, or a name that could not be a path segment.
        """
        match = re.fullmatch(rf"face_app/({NAME})/({NAME})", topic)
        if not match:
            raise MessageError("foreign-topic", f"{topic[:80]!r} is not face_app/<edge>/<camera>")
        return cls(match[1], match[2])


def receipts_topic(edge: str, subscriber: str) -> str:
    """Where one subscriber publishes its receipts for one edge."""
    return f"receipts/{edge}/{subscriber}"


def status_topic(edge: str, camera: str) -> str:
    """Where the state of one camera stands, retained."""
    return f"status/{edge}/{camera}"


def link_topics(edge: str) -> tuple[str, str]:
    """The retained states, ``1`` or ``0``, of both hops: edge broker - forwarder, forwarder - cloud."""
    return f"link/{edge}/forwarder", f"link/{edge}/cloud"


def object_key(topic: FaceTopic, face: FaceId, captured_at: datetime, sha256: str, suffix: str) -> str:
    """Name the object of a face: the same message gives the same key.

    Args:
        topic: Edge and camera.
        face: The id that stands inside the file.
        captured_at: Aware time of capture; the key holds it in UTC.
        sha256: Hex digest of the whole file.
        suffix: ``jpg`` or ``png``.
    """
    hour = captured_at.astimezone(timezone.utc).strftime("%Y/%m/%d/%H")
    name = f"face-{face.outbox}-{face.sequence:09d}-{sha256[:12]}.{suffix}"
    return f"{topic.edge}/{topic.camera}/{hour}/{name}"


def face_of_key(key: str) -> FaceId | None:
    """Tell which face an object holds by its key alone; None where the key is not a face's."""
    match = _KEY.fullmatch(key)
    return FaceId(match["outbox"], int(match["sequence"])) if match else None


@dataclass(frozen=True)
class Receipt:
    """The cloud's word on one message.

    Attributes:
        id: The face, or None where the message carried no readable id.
        sha256: Hex digest of the payload as it arrived.
        key: Where the bytes are now: the object, or its copy in quarantine.
        at: When the store had confirmed them (aware).
        result: ``stored`` or ``refused``.
        reason: Why it was refused; empty for ``stored``.
    """

    id: FaceId | None
    sha256: str
    key: str
    at: datetime
    result: Literal["stored", "refused"]
    reason: str = ""

    def document(self) -> dict[str, Any]:
        """The receipt as plain JSON values."""
        return {
            "id": str(self.id) if self.id else None,
            "sha256": self.sha256,
            "key": self.key,
            "at": self.at.astimezone(timezone.utc).isoformat(),
            "result": self.result,
            "reason": self.reason,
        }


def dump_receipts(receipts: Iterable[Receipt]) -> bytes:
    """Write receipts as one message: an object for one, a list for more."""
    documents = [receipt.document() for receipt in receipts]
    return json.dumps(documents[0] if len(documents) == 1 else documents, separators=(",", ":")).encode()


def load_receipts(payload: bytes) -> list[Receipt]:
    """Read one message of receipts.

    Raises:
        MessageError: The payload is not receipts; none of it counts.
    """
    try:
        documents = json.loads(payload)
        return [_receipt(each) for each in (documents if isinstance(documents, list) else [documents])]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise MessageError("bad-receipt", f"{error!r:.200}") from error


def _receipt(document: dict[str, Any]) -> Receipt:
    at = datetime.fromisoformat(document["at"])
    at.astimezone(timezone.utc)  # the first and the last hours of the calendar have none
    result, sha256 = document["result"], document["sha256"]
    if result not in {"stored", "refused"} or not re.fullmatch(r"[0-9a-f]{64}", sha256) or at.tzinfo is None:
        raise ValueError(f"result {result!r}, sha256 {sha256!r}, at {at}")
    reason = document.get("reason", "")
    # It becomes a label of a metric and a value in the outbox, and neither takes all that JSON can say.
    if not re.fullmatch(_REASON, reason):
        raise ValueError(f"reason {reason[:80]!r}")
    face = None if document["id"] is None else FaceId.parse(document["id"])
    return Receipt(face, sha256, str(document["key"]), at, result, reason)
