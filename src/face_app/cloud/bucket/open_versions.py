"""Open access to every version of the objects of a store."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from face_app.cloud.bucket import operations
from face_app.cloud.bucket.tombstone import RECORD
from face_app.cloud.stores import folder
from face_app.cloud.stores.directory import INCOMING
from face_app.cloud.stores.store import safe_parts
from face_app.cloud.stores.versions import StoredObject, Version, Versions
from face_app.common import settings
from face_app.common.errors import StoreError


def open_versions(store: settings.Store, *, connections: int, current_only: bool = False) -> Versions:
    """Return access to all versions; a mount (s3fs) is accessed through the S3 API.

    Args:
        store: Store settings.
        connections: Maximum number of parallel requests.
        current_only: List only what readers see; needs no right to list versions.

    Raises:
        SettingsError: The credentials file cannot be read.
    """
    if store.kind == "directory":
        return _Folder(store)

    from face_app.cloud.stores.s3_bucket import S3Bucket  # noqa: PLC0415
    from face_app.cloud.stores.s3_versions import S3Versions  # noqa: PLC0415

    return S3Versions(S3Bucket(store, connections=connections), current_only=current_only)


class _Folder:
    """Accesses the files of a folder, which have one version each."""

    def __init__(self, store: settings.Store) -> None:
        self._store = store
        self._path = folder(store)
        self._read = operations.reader(store)

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        for key in operations.keys(self._store, prefix):
            if key > after:
                yield StoredObject(key, (Version(),))

    def folders(self, prefix: str) -> list[str]:
        rests = (key.removeprefix(prefix) for key in operations.keys(self._store, prefix))
        return sorted({f"{prefix}{rest.split('/', 1)[0]}/" for rest in rests if "/" in rest})

    def read(self, key: str, version: Version) -> bytes | None:  # noqa: ARG002 - a file has one version
        return self._read(key)

    def delete(self, key: str, version: Version) -> None:  # noqa: ARG002
        *_, name = safe_parts(key)
        file = self._path / key
        try:
            # A subscriber that was killed leaves the file under another name, too. A record has the same name, and
            # another program may be writing it.
            for leftover in (self._path / INCOMING).glob(f"{name}.*"):
                with suppress(FileNotFoundError):
                    if leftover.stat().st_size > len(RECORD):
                        leftover.unlink()
            file.unlink(missing_ok=True)
            _synchronise(file.parent)
        except OSError as error:
            raise StoreError(f"store.path {self._path}: {key} cannot be deleted: {error.strerror}") from error


def _synchronise(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
