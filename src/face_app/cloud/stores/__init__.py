"""Open the store that the settings name; one module per kind of store."""

from pathlib import Path

from face_app.cloud.stores.store import Store
from face_app.common import settings
from face_app.common.errors import SettingsError


def open_store(store: settings.Store, *, connections: int = 16) -> Store:
    """Create the store that the settings name.

    Args:
        store: Store settings.
        connections: Maximum number of parallel puts.

    Raises:
        SettingsError: The path is not set, or the credentials file cannot be read.
    """
    # Import boto3 only for S3 stores, so that a folder store works where it is not installed.
    if store.kind == "directory":
        from face_app.cloud.stores.directory import DirectoryStore  # noqa: PLC0415

        return DirectoryStore(folder(store))

    from face_app.cloud.stores.s3_bucket import S3Bucket  # noqa: PLC0415

    bucket = S3Bucket(store, connections=connections)
    if store.kind == "mount":
        from face_app.cloud.stores.mount import MountStore  # noqa: PLC0415

        return MountStore(folder(store), bucket)

    from face_app.cloud.stores.s3 import S3Store  # noqa: PLC0415

    return S3Store(bucket)


def folder(store: settings.Store) -> Path:
    """Return the absolute path of the store's folder.

    Raises:
        SettingsError: The path is not set.
    """
    if store.path is None:
        raise SettingsError(f"store.path: not set; store.kind {store.kind!r} needs it")
    return store.path.expanduser().absolute()
