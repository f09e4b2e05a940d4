"""The bucket itself: made where it is missing, private unless told otherwise; what is in it, and links to that."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from face_app.cloud.stores import folder
from face_app.common import settings
from face_app.common.errors import StoreError

_AS_IS = settings.Bucket()

# boto3 is imported with the stores that need it: a plain folder must work without.


def ensure(store: settings.Store, wanted: settings.Bucket = _AS_IS, *, check: bool) -> list[str]:
    """Make the bucket, or the folder of a plain directory, where it is missing, and let it be as it is wanted.

    Args:
        store: Which, and where.
        wanted: Who may read it without a key, and how long it keeps objects. A folder knows neither.
        check: Change nothing, only tell.

    Returns:
        What was, or with `check` would be, changed, in words.

    Raises:
        StoreError: No answer, a refused key, a name that is taken, or something that the store cannot do; one line
            names endpoint, bucket and key file.
        SettingsError: The credentials file cannot be read.
    """
    if store.kind == "directory":
        return _ensure_folder(store, check=check)

    from face_app.cloud.bucket.lifecycle import Expiry  # noqa: PLC0415
    from face_app.cloud.bucket.public_access import PublicRead  # noqa: PLC0415
    from face_app.cloud.stores.s3_bucket import S3Bucket  # noqa: PLC0415

    bucket = S3Bucket(store)
    changes = [] if bucket.exists() else [f"{bucket.where} is made"]
    if changes and check:
        return changes
    if changes:
        bucket.create()
    changes += PublicRead(bucket).ensure(public=wanted.public, check=check)
    if wanted.expire_days is not None:
        changes += Expiry(bucket).ensure(wanted.expire_days, check=check)
    return changes


def _ensure_folder(store: settings.Store, *, check: bool) -> list[str]:
    path = folder(store)
    if path.is_dir():
        return []
    if not check:
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise StoreError(f"store.path {path} cannot be made: {error.strerror}") from error
    return [f"folder {path} is made"]


def keys(store: settings.Store, prefix: str) -> Iterator[str]:
    """List the keys of objects that begin so, in order.

    Args:
        store: Where.
        prefix: Such as ``jetson/door/2026/``; empty for all.

    Raises:
        StoreError: No answer, a refused key, or a missing bucket or folder.
        SettingsError: The credentials file cannot be read.
    """
    if store.kind == "directory":
        return _files(folder(store), prefix)

    from face_app.cloud.stores.s3_bucket import S3Bucket  # noqa: PLC0415

    return S3Bucket(store).keys(prefix)


def _files(path: Path, prefix: str) -> Iterator[str]:
    if not path.is_dir():
        raise StoreError(f"store.path {path} is not a folder; `face-app bucket ensure` makes it")
    names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    # What begins with a dot is on its way and has no key yet.
    return (name for name in names if name.startswith(prefix) and not name.startswith("."))


def reader(store: settings.Store, *, connections: int = 1) -> Callable[[str], bytes | None]:
    """Give a function that fetches an object by its key, None where there is none.

    It is safe to use from several threads, and raises a `StoreError` where the store does not answer or refuses.

    Args:
        store: Where the objects are; a mount is read through the S3 API.
        connections: Most fetches at a time.

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


def urls(store: settings.Store, keys: Iterable[str], *, seconds: int) -> list[str]:
    """Make a link for each object that opens it for a while, whoever follows it.

    Args:
        store: Where the objects are; the links go through its `public_endpoint`.
        keys: Which objects; whether they exist is not looked at.
        seconds: How long a link opens. A plain folder's ``file:`` link has no end.

    Raises:
        SettingsError: The credentials file cannot be read.
    """
    if store.kind == "directory":
        return [(folder(store) / key).as_uri() for key in keys]

    from face_app.cloud.stores.s3_bucket import S3Bucket  # noqa: PLC0415

    return S3Bucket(store).links(keys, seconds=seconds)
