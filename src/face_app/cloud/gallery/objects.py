"""Read the bucket for the gallery: list it with times, fetch objects, notice when it does not answer."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from face_app.cloud.bucket import operations
from face_app.cloud.bucket.open_versions import open_versions
from face_app.cloud.stores import folder
from face_app.common import settings
from face_app.common.errors import StoreError
from face_app.common.wire import RESERVED

PAGE = 1000
"""Keys of one page of a listing: the most that S3 returns."""
CACHE_BYTES = 24_000_000
"""Maximum bytes of the objects in memory: the page that reads their metadata is followed by requests for the same."""
CACHE_SECONDS = 60.0
"""Seconds for which an object is served from memory: the longest time for which an erased one is still seen."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Describes an object as a listing reports it.

    Attributes:
        key: Key of the object.
        stored_ms: Time of its upload, milliseconds since 1970.
    """

    key: str
    stored_ms: int


class Objects:
    """Reads the objects of one bucket. Thread-safe.

    While the bucket does not answer, every read fails at once, so that no page waits for time-outs; `check` ends that.

    Attributes:
        problem: Why the bucket cannot be read; empty while it can.
    """

    def __init__(self, store: settings.Store, *, connections: int) -> None:
        """Prepare the reads, without a request.

        Raises:
            SettingsError: The credentials file cannot be read.
        """
        self.problem = ""
        self._list = _list_folder(store) if store.kind == "directory" else _list_bucket(store)
        self._get = operations.reader(store, connections=connections)
        self._versions = open_versions(store, connections=1, current_only=True)
        self._cache = _Cache()

    def get(self, key: str) -> bytes | None:
        """Fetch an object; None if it does not exist.

        Raises:
            StoreError: The bucket does not answer, or refuses.
        """
        known = self._cache.get(key)
        if known is not None:
            return known
        if self.problem:
            raise StoreError(self.problem)
        try:
            data = self._get(key)
        except StoreError as error:
            self.problem = str(error)
            raise
        if data is not None:
            self._cache.put(key, data)
        return data

    def pages(self, prefix: str) -> Iterator[list[Listed]]:
        """List the objects with a prefix by pages, in the order of their keys.

        Args:
            prefix: Beginning of the keys.

        Raises:
            StoreError: The bucket does not answer, or refuses.
        """
        try:
            yield from self._list(prefix)
        except StoreError as error:
            self.problem = str(error)
            raise
        self.problem = ""

    def cameras(self) -> list[str]:
        """Return the folder of each camera in the bucket, such as ``jetson/door/``.

        Raises:
            StoreError: The bucket does not answer, or refuses.
        """
        try:
            edges = [edge for edge in self._versions.folders("") if edge.rstrip("/") not in RESERVED]
            return [camera for edge in edges for camera in self._versions.folders(edge)]
        except StoreError as error:
            self.problem = str(error)
            raise

    def check(self) -> bool:
        """Ask the bucket whether it answers again; set `problem` to the result."""
        try:
            for _ in self._list("face-app-gallery-check/"):
                break
        except StoreError as error:
            self.problem = str(error)
            return False
        self.problem = ""
        return True

    def forget(self, key: str) -> None:
        """Drop an object from memory; a read in progress does not store it again."""
        self._cache.drop(key)


class _Cache:
    """Contains the objects that were read last, for a short time. Thread-safe."""

    def __init__(self) -> None:
        self._objects: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._bytes = 0
        self._dropped: dict[str, float] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        with self._lock:
            known = self._objects.get(key)
            if known and time.monotonic() < known[0]:
                return known[1]
            return None

    def put(self, key: str, data: bytes) -> None:
        with self._lock:
            if time.monotonic() < self._dropped.get(key, 0.0):
                return
            self._drop(key)
            self._objects[key] = time.monotonic() + CACHE_SECONDS, data
            self._bytes += len(data)
            while self._bytes > CACHE_BYTES:
                self._drop(next(iter(self._objects)))

    def drop(self, key: str) -> None:
        with self._lock:
            now = time.monotonic()
            self._dropped = {each: until for each, until in self._dropped.items() if until > now}
            self._dropped[key] = now + CACHE_SECONDS
            self._drop(key)

    def _drop(self, key: str) -> None:
        known = self._objects.pop(key, None)
        if known:
            self._bytes -= len(known[1])


Lister = Callable[[str], Iterator[list[Listed]]]


def _list_bucket(store: settings.Store) -> Lister:
    from face_app.cloud.stores.s3_bucket import S3Bucket  # noqa: PLC0415 - a folder store needs no boto3

    bucket = S3Bucket(store, connections=2)

    def pages(prefix: str) -> Iterator[list[Listed]]:
        for page in bucket.pages(prefix):
            yield [Listed(key, int(at.timestamp() * 1000)) for key, at in page]

    return pages


def _list_folder(store: settings.Store) -> Lister:
    root = folder(store)

    def pages(prefix: str) -> Iterator[list[Listed]]:
        keys = list(operations.keys(store, prefix))
        for start in range(0, len(keys), PAGE):
            yield [Listed(key, _modified(root / key)) for key in keys[start : start + PAGE]]

    return pages


def _modified(path: Path) -> int:
    try:
        return int(path.stat().st_mtime * 1000)
    except OSError:  # deleted since the listing; the next one finds that
        return 0
