"""Access one bucket through the S3 API."""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from face_app.cloud.stores.fast_client import fast_client
from face_app.cloud.stores.s3_causes import error_code, error_status
from face_app.cloud.stores.s3_client import connect, translate_errors
from face_app.cloud.stores.store import refuse_replacing
from face_app.common import settings
from face_app.common.errors import StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class ObjectSummary:
    """Describes an object, as a HEAD request reports it.

    Attributes:
        size: Bytes.
        etag: ETag without quotes: the MD5 after a plain upload; another value after multipart or with KMS; may be
            empty.
    """

    size: int
    etag: str


class S3Bucket:
    """Accesses a bucket with one key pair. Thread-safe.

    Attributes:
        name: Name of the bucket.
        where: Bucket and endpoint, for messages.
        client: boto3 client, for requests on the bucket itself.
    """

    def __init__(self, store: settings.Store, *, connections: int = 16) -> None:
        """Create the client without a request.

        Args:
            store: Bucket, endpoint and credentials file.
            connections: Maximum number of parallel requests.

        Raises:
            SettingsError: The credentials file cannot be read.
        """
        self.where = f"bucket {store.bucket} at {store.endpoint or f'AWS {store.region}'}"
        self.name = store.bucket
        self._settings = store
        self.client = connect(store, store.endpoint, connections=connections)
        self._fast = fast_client(store, connections=connections)

    def translate_errors(self) -> AbstractContextManager[None]:
        """Translate errors of boto3 into `StoreError`."""
        return translate_errors(self.where, self._settings)

    def anonymous_client(self) -> "S3Client":
        """Return a client that sends unsigned requests."""
        return connect(self._settings, self._settings.endpoint, connections=1, signed=False)

    def put(self, key: str, data: bytes, sha256: str, content_type: str, *, only_new: bool) -> None:
        """Upload an object and confirm its bytes.

        Args:
            key: Key of the object.
            data: Whole object.
            sha256: Hex digest of `data`; stored as metadata ``sha256``.
            content_type: Content type for browsers.
            only_new: Do not replace an object (``If-None-Match: *``).

        Raises:
            ClientError: The store answered with an error; 412 for a taken key.
            BotoCoreError: The store did not answer.
            StoreError: The store accepted the object, but has other bytes.
        """
        md5 = hashlib.md5(data, usedforsecurity=False)
        etag = self._fast.put(key, data, sha256, content_type, only_new=only_new) if self._fast else None
        if etag is None:
            condition: dict[str, Any] = {"IfNoneMatch": "*"} if only_new else {}
            answer = self.client.put_object(
                Bucket=self.name,
                Key=key,
                Body=data,
                ContentMD5=b64encode(md5.digest()).decode(),
                ContentType=content_type,
                Metadata={"sha256": sha256},
                **condition,
            )
            etag = _etag(answer)
        if etag != md5.hexdigest() and not self.matches(key, data, sha256):
            raise StoreError(f"{self.where} has other bytes than it was sent; do not trust this store")

    def head(self, key: str) -> ObjectSummary | None:
        """Return size and ETag of an object; None if it does not exist.

        Raises:
            StoreError: No answer, or a refusal.
        """
        known = self._fast.head(key) if self._fast else None
        if known:
            return ObjectSummary(*known)
        with self.translate_errors():
            try:
                answer = self.client.head_object(Bucket=self.name, Key=key)
            except ClientError as error:
                if error_status(error) == 404:
                    return None
                raise
        return ObjectSummary(answer["ContentLength"], _etag(answer))

    def get(self, key: str) -> bytes | None:
        """Fetch an object; None if it does not exist.

        Raises:
            StoreError: No answer, or a refusal.
        """
        data = self._fast.get(key) if self._fast else None
        if data is not None:
            return data
        with self.translate_errors():
            try:
                return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
            except ClientError as error:
                if error_code(error) == "NoSuchKey":
                    return None
                raise

    def matches(self, key: str, data: bytes, sha256: str) -> bool | None:
        """Compare an object with `data` by size and MD5, as a HEAD reports them.

        Equal bytes may have an ETag other than their MD5. Then the object is fetched and compared by SHA-256.

        Returns:
            True if equal, False if different, None if the object is missing.

        Raises:
            StoreError: No answer, or a refusal.
        """
        summary = self.head(key)
        if summary is None:
            return None
        if summary.size != len(data):
            return False
        if summary.etag == hashlib.md5(data, usedforsecurity=False).hexdigest():
            return True
        return hashlib.sha256(self.get(key) or b"").hexdigest() == sha256

    def refuse_replacing(self, key: str) -> None:
        """Check that an object may be replaced; see `store.refuse_replacing`.

        Raises:
            MessageError: Its bytes fit its key.
            StoreError: No answer, or a refusal.
        """
        present = self.get(key)
        if present is not None:
            refuse_replacing(key, present)

    def check(self) -> None:
        """Check that the bucket exists and the key pair has access.

        A listing is used, because its error names the cause, and its answer names the bucket.

        Raises:
            StoreError: The bucket is missing, access is refused, or the endpoint leads to something else.
        """
        with self.translate_errors():
            try:
                answer = self.client.list_objects_v2(Bucket=self.name, MaxKeys=1)
            except ClientError as error:
                # The store took the bucket's name as a key.
                if error_code(error) != "NoSuchKey":
                    raise
                raise StoreError(
                    f"{self.where} is an object there: the address contains a bucket; remove it from store.endpoint"
                ) from error
        name = answer.get("Name", "no bucket")
        if name != self.name:
            raise StoreError(
                f"{self.where} answers for {name!r:.80}; set store.endpoint to an S3 address without a bucket"
            )

    def exists(self) -> bool:
        """Return True if the bucket exists.

        Raises:
            StoreError: No answer, or a refusal.
        """
        with self.translate_errors():
            try:
                self.client.list_objects_v2(Bucket=self.name, MaxKeys=1)
            except self.client.exceptions.NoSuchBucket:
                return False
        return True

    def create(self) -> None:
        """Create the bucket, unless this account owns it already.

        Raises:
            StoreError: No answer, a refusal, or another account owns the name.
        """
        location: dict[str, Any] = {}
        # Only AWS needs the region here, except its default region; IBM reads this field as a storage class.
        if not self._settings.endpoint and self._settings.region != "us-east-1":
            location["CreateBucketConfiguration"] = {"LocationConstraint": self._settings.region}
        with self.translate_errors():
            try:
                self.client.create_bucket(Bucket=self.name, **location)
            except self.client.exceptions.BucketAlreadyOwnedByYou:
                return  # another process created it meanwhile

    def keys(self, prefix: str) -> Iterator[str]:
        """List the keys with a prefix, in order, without folder markers.

        Raises:
            StoreError: No answer, or a refusal.
        """
        return (key for page in self.pages(prefix) for key, _ in page)

    def pages(self, prefix: str) -> Iterator[list[tuple[str, datetime]]]:
        """List keys and times of upload by pages, in order, without folder markers.

        Raises:
            StoreError: No answer, or a refusal.
        """
        with self.translate_errors():
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                contents = page.get("Contents", [])
                yield [(each["Key"], each["LastModified"]) for each in contents if not each["Key"].endswith("/")]

    def links(self, keys: Iterable[str], *, seconds: int) -> list[str]:
        """Return presigned links through the public endpoint."""
        endpoint = self._settings.public_endpoint or self._settings.endpoint
        client = connect(self._settings, endpoint, connections=1)
        return [
            client.generate_presigned_url("get_object", {"Bucket": self.name, "Key": key}, ExpiresIn=seconds)
            for key in keys
        ]


def _etag(answer: Any) -> str:
    return str(answer.get("ETag", "")).strip('"')
