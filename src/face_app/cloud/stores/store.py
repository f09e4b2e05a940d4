"""Define the interface of a store."""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, Protocol

from face_app.common.errors import MessageError

Outcome = Literal["created", "already", "repaired"]

_HASH = re.compile(r"([0-9a-f]{12}|[0-9a-f]{64})\.[a-z]+")
_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Stored:
    """Confirms that a store has the bytes, as read back.

    Attributes:
        outcome: ``created``: new; ``already``: existed with the same bytes; ``repaired``: had bytes that do not fit
            the hash in its key, such as a partial upload, which were replaced.
    """

    outcome: Outcome


class Store(Protocol):
    """Stores bytes under a key. Thread-safe."""

    def put(self, key: str, data: bytes, sha256: str) -> Stored:
        """Store bytes and read back a confirmation. A repetition with the same arguments changes nothing.

        Args:
            key: Relative path from `wire.object_key` or `subscriber/validate.py`; `safe_parts` checks it.
            data: Whole object.
            sha256: Hex digest of `data`.

        Raises:
            StoreError: The store did not confirm; the object may or may not exist. Retry with the same key.
            MessageError: The key is not a relative path of plain names (`safe_parts`), or another object has it
                (`refuse_replacing`).
        """

    def check(self) -> None:
        """Check that a put can succeed now.

        Raises:
            StoreError: A put would fail; the message names what to change.
        """


def safe_parts(key: str) -> list[str]:
    """Split a key into plain names: letters, digits, ``_``, ``-`` and ``.``, with no ``.`` at the beginning.

    So a key cannot contain ``..``, a hidden name or an absolute path.

    Raises:
        MessageError: With the reason ``bad-key``, because keys derive from messages.
    """
    parts = key.split("/")
    if not all(_SEGMENT.fullmatch(part) for part in parts):
        raise MessageError("bad-key", f"{key[:200]!r} is not a relative path of plain names")
    return parts


def refuse_replacing(key: str, present: bytes) -> None:
    """Check that an object may be replaced: its own bytes do not fit its key, as after a partial upload.

    A key contains the beginning of the SHA-256 of its object. Bytes that fit it were stored whole; others that fit too
    are a collision, which an edge can compute for its own faces in minutes.

    Raises:
        MessageError: With the reason ``key-taken``.
    """
    found = _HASH.search(key.rpartition("/")[2])
    if found and hashlib.sha256(present).hexdigest().startswith(found[1]):
        raise MessageError("key-taken", f"another object has the key {key[:200]}")
