"""One bucket through the S3 API."""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from face_app.cloud.stores.fast_client import INSTALLED, fast_client
from face_app.cloud.stores.s3_client import connect, error_code, error_status, translate_errors
from face_app.common import settings
from face_app.common.errors import StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class ObjectSummary:
    """What a HEAD tells of an object.

    Attributes:
        size: Bytes.
        etag: Without quotes: the MD5 of a plain upload; something else after multipart or with KMS; empty where the
            store tells none.
    """

    size: int
    etag: str


class S3Bucket:
    """A bucket and the key pair that opens it. Safe to use from several threads.

    Attributes:
        name: Of the bucket.
        where: Bucket and endpoint in words.
        client: For what concerns the bucket and no object of it.
    """

    def __init__(self, store: settings.Store, *, connections: int = 16) -> None:
        """Prepare the one client; nothing is sent yet.

        Args:
            store: Which bucket, at which endpoint, with which credentials file.
            connections: Most requests at a time.

        Raises:
            SettingsError: The credentials file cannot be read.
        """
        self.where = f"bucket {store.bucket} at {store.endpoint or f'AWS {store.region}'}"
        self.name = store.bucket
        self._settings = store
        self.client = connect(store, store.endpoint, connections=connections)
        self._fast = fast_client(store, connections=connections) if INSTALLED else None

    def translate_errors(self) -> AbstractContextManager[None]:
        """Turn errors of boto3 into a `StoreError`."""
        return translate_errors(self.where, self._settings)

    def stranger(self) -> "S3Client":
        """A client that asks as somebody without a key does."""
        return connect(self._settings, self._settings.endpoint, connections=1, signed=False)

    def put(self, key: str, data: bytes, sha256: str, content_type: str, *, only_new: bool) -> None:
        """Upload an object and see that the store has these very bytes.

        Args:
            key: Its key.
            data: All of it.
            sha256: Hex digest of `data`; goes along as metadata ``sha256``.
            content_type: For browsers.
            only_new: Do not replace an object (``If-None-Match: *``).

        Raises:
            ClientError: The store answered with an error; 412 where the key is taken.
            BotoCoreError: It did not answer.
            StoreError: It answered well and holds other bytes.
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
        if etag != md5.hexdigest() and not self.holds(key, data, sha256):
            raise StoreError(f"{self.where} holds other bytes than it was given; do not trust this store")

    def head(self, key: str) -> ObjectSummary | None:
        """Ask about an object; None where there is none.

        Raises:
            StoreError: No answer, or a refusal.
        """
        if self._fast and (known := self._fast.head(key)):
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
        """Fetch an object; None where there is none.

        Raises:
            StoreError: No answer, or a refusal.
        """
        with self.translate_errors():
            try:
                return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
            except ClientError as error:
                if error_code(error) == "NoSuchKey":
                    return None
                raise

    def holds(self, key: str, data: bytes, sha256: str) -> bool | None:
        """Whether the store has these very bytes: True; other bytes: False; nothing: None.

        Size and MD5 of a HEAD decide. An ETag that is not the MD5 may still belong to the same bytes, so then they
        are fetched and compared by SHA-256.

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

    def check(self) -> None:
        """See that the bucket is there and the key opens it. A listing names what is wrong; a HEAD would not.

        Raises:
            StoreError: It is not, or it does not.
        """
        with self.translate_errors():
            self.client.list_objects_v2(Bucket=self.name, MaxKeys=1)

    def exists(self) -> bool:
        """Whether the bucket is there.

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
        """Make the bucket. Not an error where we have it already.

        Raises:
            StoreError: No answer, a refusal, or the name is somebody else's.
        """
        # Only AWS wants its region repeated; IBM takes this place for a storage class.
        region, elsewhere = self._settings.region, self._settings.endpoint
        location: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with self.translate_errors():
            try:
                self.client.create_bucket(Bucket=self.name, **({} if elsewhere or region == "us-east-1" else location))
            except self.client.exceptions.BucketAlreadyOwnedByYou:
                return

    def keys(self, prefix: str) -> Iterator[str]:
        """List the keys that begin so, in order, without the empty objects that stand for folders.

        Raises:
            StoreError: No answer, or a refusal.
        """
        with self.translate_errors():
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                yield from (each["Key"] for each in page.get("Contents", []) if not each["Key"].endswith("/"))

    def links(self, keys: Iterable[str], *, seconds: int) -> list[str]:
        """Make links that open objects for a while, through the address that people use."""
        endpoint = self._settings.public_endpoint or self._settings.endpoint
        client = connect(self._settings, endpoint, connections=1)
        return [
            client.generate_presigned_url("get_object", {"Bucket": self.name, "Key": key}, ExpiresIn=seconds)
            for key in keys
        ]


def _etag(answer: Any) -> str:
    return str(answer.get("ETag", "")).strip('"')
