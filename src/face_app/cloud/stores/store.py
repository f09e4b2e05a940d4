"""Define the interface of a store."""

import re
from dataclasses import dataclass
from typing import Literal, Protocol

from face_app.common.errors import MessageError

Outcome = Literal["created", "already", "repaired"]

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Stored:
    """Confirms that a store has the bytes, as read back.

    Attributes:
        outcome: ``created``: new; ``already``: existed with the same bytes; ``repaired``: had other bytes, such as a
            partial upload, which were replaced.
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
            MessageError: The key is not a relative path of plain names (`safe_parts`).
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
