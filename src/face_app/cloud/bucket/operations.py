"""Create the bucket, set its access and expiry, list its keys, read its objects, make links."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from face_app.cloud.bucket.expiry import ExpiryRules, days_by_prefix
from face_app.cloud.stores import folder
from face_app.cloud.stores.directory import DirectoryStore
from face_app.common import settings
from face_app.common.errors import StoreError

_DEFAULT = settings.Bucket()

# Import boto3 only for S3 stores, so that a folder store works where it is not installed.


def ensure(store: settings.Store, wanted: settings.Bucket = _DEFAULT, *, check: bool) -> list[str]:
    """Create the bucket, or the folder of a directory store, if missing; apply access and expiry.

    Args:
        store: Store settings.
        wanted: Access and expiry of the bucket; ignored for a folder. Of its days, 0 removes a rule, and None leaves
            it unchanged.
        check: Change nothing; return the pending changes. For a missing bucket that is its creation alone.

    Returns:
        One sentence per change, made or (with `check`) pending.

    Raises:
        StoreError: No answer, refused credentials, a taken name, or an unsupported feature. The message names
            endpoint, bucket and credentials file.
        SettingsError: The credentials file cannot be read.
    """
    if store.kind == "directory":
        return _ensure_folder(store, check=check)

    from face_app.cloud.bucket.lifecycle import FACES, QUARANTINE, Expiry  # noqa: PLC0415
    from face_app.cloud.bucket.public_access import PublicRead  # noqa: PLC0415
    from face_app.cloud.stores.s3_bucket import S3Bucket  # noqa: PLC0415

    bucket = S3Bucket(store)
    changes = []
    if not bucket.exists():
        changes.append(f"{bucket.where} is created")
        if check:
            return changes
        bucket.create()
    changes += PublicRead(bucket).ensure(public=wanted.public, check=check)
    for rule, days in ((FACES, wanted.expire_days), (QUARANTINE, wanted.quarantine_days)):
        if days is not None:
            changes += Expiry(bucket).ensure(rule, days, check=check)
    return changes


def _ensure_folder(store: settings.Store, *, check: bool) -> list[str]:
    path = folder(store)
    if path.is_dir():
        return []
    if not check:
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise StoreError(f"store.path {path} cannot be created: {error.strerror}") from error
    return [f"folder {path} is created"]


def keys(store: settings.Store, prefix: str) -> Iterator[str]:
    """List the keys with a prefix, in order, once; for repeated lists see `lister`.

    Args:
        store: Store settings.
        prefix: For example ``jetson/door/2026/``; empty for all.

    Raises:
        StoreError: No answer, refused credentials, or a missing bucket or folder.
        SettingsError: The credentials file cannot be read.
    """
    return lister(store)(prefix)


def lister(store: settings.Store) -> Callable[[str], Iterator[str]]:
    """Return a function that lists the keys with a prefix, in order; it is thread-safe, and raises `StoreError`.

    Its client is created once: that takes 50 ms of CPU time, twenty times as long as a list.

    Raises:
        SettingsError: The credentials file cannot be read.
    """
    if store.kind == "directory":
        return partial(_list_files, folder(store))

    from face_app.cloud.stores.s3_bucket import S3Bucket  # noqa: PLC0415

    return S3Bucket(store).keys


def _list_files(path: Path, prefix: str) -> Iterator[str]:
    if not path.is_dir():
        raise StoreError(f"store.path {path} is not a folder; `face-app bucket ensure` creates it")
    names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    # Relative paths with a leading dot are incomplete uploads in `.incoming/`; they have no key.
    return (name for name in names if name.startswith(prefix) and not name.startswith("."))


def expiry_rules(store: settings.Store, fallback: settings.Bucket = _DEFAULT) -> ExpiryRules:
    """Read the rules that delete objects.

    Args:
        store: Store settings.
        fallback: Its `expire_days` counts if the store has no such rules, or this key may not read them.

    Raises:
        StoreError: No answer, or another refusal.
        SettingsError: The credentials file cannot be read.
    """
    now = datetime.now(timezone.utc)
    expected = (("", fallback.expire_days),) if fallback.expire_days else ()
    if store.kind == "directory":
        return ExpiryRules(expected, now, "a folder has none" if expected else "")

    from face_app.cloud.bucket.lifecycle import Expiry  # noqa: PLC0415
    from face_app.cloud.stores.s3_bucket import S3Bucket  # noqa: PLC0415

    rules, refusal = Expiry(S3Bucket(store)).read()
    return ExpiryRules(expected, now, refusal) if refusal else ExpiryRules(tuple(days_by_prefix(rules)), now)


def reader(store: settings.Store, *, connections: int = 1) -> Callable[[str], bytes | None]:
    """Return a function that fetches an object by its key; it returns None for a missing object.

    The function is thread-safe. It raises `StoreError` if the store does not answer or refuses access.

    Args:
        store: Store settings; a mount (s3fs) is read through the S3 API.
        connections: Maximum number of parallel fetches.

    Raises:
        SettingsError: The credentials file cannot be read.
    """
    if store.kind != "directory":
        from face_app.cloud.stores.s3_bucket import S3Bucket  # noqa: PLC0415

        return S3Bucket(store, connections=connections).get

    path = folder(store)

    def read(key: str) -> bytes | None:
        try:
            return (path / key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"store.path {path} cannot be read: {error.strerror}") from error

    return read


def writer(store: settings.Store, *, connections: int = 1) -> Callable[[str, bytes], None]:
    """Return a function that stores a small object of face-app under a key, and replaces the object that is there.

    Faces are never replaced: their keys contain the hash of their bytes (see `Store.put`). The function raises
    `StoreError` if the store does not confirm the object.

    Args:
        store: Store settings; a mount (s3fs) is written through the S3 API.
        connections: Maximum number of parallel writes.

    Raises:
        SettingsError: The credentials file cannot be read.
    """
    if store.kind == "directory":
        return DirectoryStore(folder(store)).replace

    from face_app.cloud.stores.s3_bucket import S3Bucket  # noqa: PLC0415

    bucket = S3Bucket(store, connections=connections)

    def write(key: str, data: bytes) -> None:
        with bucket.translate_errors():
            bucket.put(key, data, hashlib.sha256(data).hexdigest(), "application/json", only_new=False)

    return write


def urls(store: settings.Store, keys: Iterable[str], *, seconds: int) -> list[str]:
    """Return a temporary link for each object; a link needs no credentials.

    Args:
        store: Store settings; links use its `public_endpoint`.
        keys: Keys of objects; their existence is not checked.
        seconds: Lifetime of a link. The ``file:`` link of a folder does not expire.

    Raises:
        SettingsError: The credentials file cannot be read.
    """
    if store.kind == "directory":
        return [(folder(store) / key).as_uri() for key in keys]

    from face_app.cloud.stores.s3_bucket import S3Bucket  # noqa: PLC0415

    return S3Bucket(store).links(keys, seconds=seconds)
