"""List and delete every version of objects through the S3 API."""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.cloud.stores.s3_causes import error_code, error_status
from face_app.cloud.stores.versions import StoredObject, Version


class _Row(NamedTuple):
    """Is an entry of a page."""

    key: str
    version: Version
    latest: bool
    at: datetime


class S3Versions:
    """Accesses every version of the objects of one bucket; see `Versions`."""

    def __init__(self, bucket: S3Bucket, *, current_only: bool = False) -> None:
        """Access a bucket; with `current_only` the latest version of each object alone."""
        self._bucket = bucket
        self._current_only = current_only

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """List objects; see `Versions.objects`."""
        rows = (row for page in self._pages(prefix, after=after) for row in _rows(page))
        # The versions of one key may be on two pages.
        for key, group in groupby(rows, lambda row: row.key):
            # S3 lists the newest first, with times in whole seconds.
            oldest_first = reversed(list(group))
            ordered = sorted(oldest_first, key=lambda row: (row.version.marker, row.latest, row.at))
            yield StoredObject(key, tuple(row.version for row in ordered))

    def folders(self, prefix: str) -> list[str]:
        """Return the folders; see `Versions.folders`."""
        pages = self._pages(prefix, delimiter="/")
        return [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]

    def _pages(self, prefix: str, *, after: str = "", delimiter: str = "") -> Iterator[Any]:
        arguments: dict[str, Any] = {"Bucket": self._bucket.name, "Prefix": prefix}
        client = self._bucket.client
        if delimiter:
            arguments["Delimiter"] = delimiter
        with self._bucket.translate_errors():
            if not self._current_only:
                try:
                    begin: dict[str, Any] = {"KeyMarker": after} if after else {}
                    yield from client.get_paginator("list_object_versions").paginate(**arguments, **begin)
                except ClientError as error:
                    # A refusal must not pass for a store without versions: those of a face would stay.
                    if error_status(error) not in {405, 501} and error_code(error) != "NotImplemented":
                        raise
                else:
                    return
            begin = {"StartAfter": after} if after else {}
            yield from client.get_paginator("list_objects_v2").paginate(**arguments, **begin)

    def read(self, key: str, version: Version) -> bytes | None:
        """Fetch a version; see `Versions.read`."""
        with self._bucket.translate_errors():
            try:
                answer = self._bucket.client.get_object(Bucket=self._bucket.name, Key=key, **_version(version))
                return answer["Body"].read()
            except ClientError as error:
                if error_code(error) in {"NoSuchKey", "NoSuchVersion"}:
                    return None
                raise

    def delete(self, key: str, version: Version) -> None:
        """Delete a version; see `Versions.delete`."""
        with self._bucket.translate_errors():
            self._bucket.client.delete_object(Bucket=self._bucket.name, Key=key, **_version(version))


def _version(version: Version) -> dict[str, Any]:
    return {"VersionId": version.id} if version.id else {}


def _rows(page: Any) -> list[_Row]:
    """Return the entries of a page, by key."""
    rows = [
        _Row(
            each["Key"], Version(each.get("VersionId") or "", marker), bool(each.get("IsLatest")), each["LastModified"]
        )
        for kind, marker in (("Versions", False), ("DeleteMarkers", True), ("Contents", False))
        for each in page.get(kind, [])
        if not each["Key"].endswith("/")
    ]
    return sorted(rows, key=lambda row: row.key)
