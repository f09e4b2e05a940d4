"""What every kind of store promises."""

import re
from dataclasses import dataclass
from typing import Literal, Protocol

from face_app.common.errors import MessageError

Outcome = Literal["created", "already", "repaired"]

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Stored:
    """The store's word that it holds the bytes, read back from the store itself.

    Attributes:
        outcome: ``created`` now; ``already`` there with the same bytes; ``repaired`` where the key was taken
            by other bytes, such as half an upload.
    """

    outcome: Outcome


class Store(Protocol):
    """Keeps bytes under a key. Safe to use from several threads."""

    def put(self, key: str, data: bytes, sha256: str) -> Stored:
        """Keep bytes and confirm that they are kept; the same call again does no harm.

        Args:
            key: Relative path, from `wire.object_key` or `cloud.keys`.
            data: The whole object.
            sha256: Hex digest of `data`.

        Raises:
            StoreError: Not confirmed. The bytes may be there or not: try the same key again.
            MessageError: The key is not a relative path of plain names.
        """

    def check(self) -> None:
        """Find out whether a put has a chance now.

        Raises:
            StoreError: It has none; one line says what to change.
        """


def safe_parts(key: str) -> list[str]:
    """Split a key into names that are nothing but names: no ``..``, nothing hidden, nothing absolute.

    Raises:
        MessageError: With the reason ``bad-key``.
    """
    parts = key.split("/")
    if not all(_SEGMENT.fullmatch(part) for part in parts):
        raise MessageError("bad-key", f"{key[:200]!r} is not a relative path of plain names")
    return parts
