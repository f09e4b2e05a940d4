"""One bucket through the S3 API, with its errors in the operator's words.

The client's settings are measured ones: checksums only where required, because many stores refuse the CRC32 that
boto3 adds since 1.36; no `Expect: 100-continue`, which costs a round trip for each small object.
"""

import hashlib
import logging
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore import UNSIGNED, handlers
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from face_app import settings
from face_app.cloud.stores.credentials import read_credentials
from face_app.errors import StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

_REFUSED = {
    *("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"),
    *("AccountProblem", "AllAccessDisabled", "Forbidden", "Unauthorized", "401", "403"),
}


@dataclass(frozen=True)
class ObjectSummary:
    """What a HEAD tells of an object.

    Attributes:
        size: Bytes.
        etag: Without quotes; the MD5 for a plain upload, something else after multipart or with KMS.
    """

    size: int
    etag: str


class S3Bucket:
    """A bucket and the key pair that opens it. Safe to use from several threads."""

    def __init__(self, store: settings.Store, *, connections: int = 16) -> None:
        """Prepare the client; nothing is sent yet.

        Args:
            store: Which bucket, at which endpoint, with which credentials file.
            connections: Most requests at a time.

        Raises:
            SettingsError: The credentials file cannot be read.
        """
        self.settings = store
        self.name = store.bucket
        self.where = f"bucket {store.bucket} at {store.endpoint or f'AWS {store.region}'}"
        self._connections = connections
        self.client = self._connect(store.endpoint)

    def _connect(self, endpoint: str | None, *, signed: bool = True) -> "S3Client":
        store = self.settings
        keys = read_credentials(store.credentials_file, store.bucket) if store.credentials_file and signed else None
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint,
            region_name=store.region,
            aws_access_key_id=keys.access_key if keys else None,
            aws_secret_access_key=keys.secret_key if keys else None,
            config=Config(
                signature_version="s3v4" if signed else UNSIGNED,
                s3={"addressing_style": "path"},
                retries={"mode": "standard", "max_attempts": 3},
                connect_timeout=3,
                read_timeout=10,
                max_pool_connections=self._connections,
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        try:
            client.meta.events.unregister("before-call.s3", handlers.add_expect_header)
        except (AttributeError, ValueError):  # not botocore's public interface: slower without, not wrong
            log.debug("this botocore keeps its Expect header", exc_info=True)
        return client

    def put(self, key: str, data: bytes, content_type: str, *, only_new: bool) -> str:
        """Upload an object.

        Args:
            key: Its key.
            data: All of it.
            content_type: For browsers.
            only_new: Do not replace an object (``If-None-Match: *``).

        Returns:
            The ETag of the new object.

        Raises:
            ClientError: The store answered with an error.
            BotoCoreError: It did not answer.
        """
        md5 = b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        condition = {"IfNoneMatch": "*"} if only_new else {}
        answer = self.client.put_object(
            Bucket=self.name,
            Key=key,
            Body=data,
            ContentMD5=md5,
            ContentType=content_type,
            **condition,  # type: ignore[arg-type]
        )
        return answer["ETag"].strip('"')

    def head(self, key: str) -> ObjectSummary | None:
        """Ask about an object; None where there is none.

        Raises:
            StoreError: No answer, or a refusal.
        """
        with self.explained():
            try:
                answer = self.client.head_object(Bucket=self.name, Key=key)
            except ClientError as error:
                if error_status(error) == 404:
                    return None
                raise
        return ObjectSummary(answer["ContentLength"], answer["ETag"].strip('"'))

    def get(self, key: str) -> bytes | None:
        """Fetch an object; None where there is none.

        Raises:
            StoreError: No answer, or a refusal.
        """
        with self.explained():
            try:
                return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
            except ClientError as error:
                if error.response["Error"].get("Code") in {"NoSuchKey", "404"}:
                    return None
                raise

    def holds(self, key: str, data: bytes) -> bool | None:
        """Whether the store itself has these very bytes: True, other bytes: False, nothing: None.

        Size and MD5 of a HEAD decide. An ETag that is not the MD5 may still belong to the same bytes (multipart,
        encryption with KMS), so then they are fetched and compared.

        Raises:
            StoreError: No answer, or a refusal.
        """
        summary = self.head(key)
        if summary is None:
            return None
        if summary.size != len(data):
            return False
        return summary.etag == hashlib.md5(data, usedforsecurity=False).hexdigest() or self.get(key) == data

    def check(self) -> None:
        """See that the bucket is there and the key opens it. A listing names the cause; a HEAD would not.

        Raises:
            StoreError: It is not, or it does not.
        """
        with self.explained():
            self.client.list_objects_v2(Bucket=self.name, MaxKeys=1)

    def listed_by_anybody(self) -> bool:
        """Whether the bucket shows its list to somebody without a key."""
        try:
            self._connect(self.settings.endpoint, signed=False).list_objects_v2(Bucket=self.name, MaxKeys=1)
        except (ClientError, BotoCoreError):
            return False
        return True

    def url(self, key: str, *, seconds: int) -> str:
        """Make a link that opens one object for a while, through the address that people use."""
        endpoint = self.settings.public_endpoint or self.settings.endpoint
        client = self.client if endpoint == self.settings.endpoint else self._connect(endpoint)
        return client.generate_presigned_url("get_object", {"Bucket": self.name, "Key": key}, ExpiresIn=seconds)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors of boto3 into a `StoreError` that says what to look at."""
        try:
            yield
        except ClientError as error:
            raise StoreError(self._explain_answer(error)) from error
        except BotoCoreError as error:
            raise StoreError(f"{self.where}: no answer ({type(error).__name__}); is store.endpoint right and up?") from error

    def _explain_answer(self, error: ClientError) -> str:
        code, status = error.response["Error"].get("Code", ""), error_status(error)
        if code == "NoSuchBucket":
            return f"{self.where} does not exist; `face-app bucket ensure` makes it, or change store.bucket"
        if code in _REFUSED or status in {401, 403}:
            return f"{self.where} refuses the key in {self.settings.credentials_file} ({code})"
        return f"{self.where} answers {status} {code}: {error.response['Error'].get('Message', '')}"[:300]


def error_status(error: ClientError) -> int:
    """The HTTP status of an answer, 0 where there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
