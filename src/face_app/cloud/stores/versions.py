"""Define access to every version of objects: in a bucket with versions, a deleted object is only hidden."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Version:
    """Names one version of an object.

    Attributes:
        id: Id of the version; empty if the store has none.
        marker: It is a delete marker, without bytes.
    """

    id: str = ""
    marker: bool = False


@dataclass(frozen=True)
class StoredObject:
    """Contains the versions of one key.

    Attributes:
        key: Key of the object.
        versions: In the order in which to delete them: the one that readers see comes last, so that an interrupted
            deletion is visible; then the delete markers.
    """

    key: str
    versions: tuple[Version, ...]

    @property
    def newest(self) -> Version | None:
        """Return the newest version with bytes; None if there are only delete markers."""
        return next((version for version in reversed(self.versions) if not version.marker), None)


class Versions(Protocol):
    """Accesses every version of the objects of one bucket. Thread-safe."""

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """List the objects with a prefix, in order, those that are hidden by a delete marker too.

        Args:
            prefix: Beginning of the keys.
            after: Only keys after this text.

        Raises:
            StoreError: No answer, or a refusal.
        """

    def folders(self, prefix: str) -> list[str]:
        """Return the beginnings of keys up to the next slash after a prefix.

        Raises:
            StoreError: No answer, or a refusal.
        """

    def read(self, key: str, version: Version) -> bytes | None:
        """Fetch a version; None if it does not exist.

        Raises:
            StoreError: No answer, or a refusal.
        """

    def delete(self, key: str, version: Version) -> None:
        """Delete a version for good; one that does not exist is no error.

        Raises:
            StoreError: No answer, or a refusal.
        """
