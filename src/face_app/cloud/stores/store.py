"""Define the interface of a store."""

import re
from dataclasses import dataclass
from typing import Literal, Protocol

from face_app.common.errors import MessageError

Outcome = Literal["created", "already", "repaired"]

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Stored:
    """Confirmation of a store, read back from it.

    Attributes:
        outcome: ``created``; ``already``: existed with the same bytes; ``repaired``: other bytes, such as a partial
            upload, were replaced.
    """

    outcome: Outcome


class Store(Protocol):
    """Stores bytes under a key. Thread-safe."""

    def put(self, key: str, data: bytes, sha256: str) -> Stored:
        """Store bytes and confirm them. Idempotent.

        Args:
            key: Relative path, from `wire.object_key` or `validate`.
            data: Whole object.
            sha256: Hex digest of `data`.

        Raises:
            StoreError: Not confirmed; the object may exist or not. Retry with the same key.
            MessageError: The key is not a relative path of plain names.
        """

    def check(self) -> None:
        """Check that a put can succeed now.

        Raises:
            StoreError: It cannot; one line names what to change.
        """


def safe_parts(key: str) -> list[str]:
    """Split a key into plain names: no ``..``, no hidden names, no absolute path.

    Raises:
        MessageError: With the reason ``bad-key``.
    """
    parts = key.split("/")
    if not all(_SEGMENT.fullmatch(part) for part in parts):
        raise MessageError("bad-key", f"{key[:200]!r} is not a relative path of plain names")
    return parts
