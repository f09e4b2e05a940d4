"""Configure boto3, and translate its errors for the operator.

Requests carry checksums only if required, because many stores refuse the CRC32 that boto3 adds since 1.36. They carry
no `Expect: 100-continue`, because it costs each small object a round trip (measured).
"""

import logging
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from typing import TYPE_CHECKING, Any

import boto3
from botocore import UNSIGNED, handlers
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from face_app.cloud.stores.credentials import read_ca, read_credentials
from face_app.cloud.stores.s3_causes import cause_of_answer, cause_of_silence, error_code, error_status
from face_app.common.errors import StoreError
from face_app.common.settings import Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

CONNECT_SECONDS = 3
"""Maximum seconds until a store accepts a connection."""
READ_SECONDS = 10
"""Maximum seconds between two parts of an answer."""


def connect(store: Store, endpoint: str | None, *, connections: int, signed: bool = True) -> "S3Client":
    """Create a client without a request.

    Args:
        store: Region, credentials file and CA file.
        endpoint: S3 address; None: AWS.
        connections: Maximum number of parallel requests.
        signed: False: send anonymous requests.

    Raises:
        SettingsError: The credentials file or the CA file cannot be read.
    """
    if store.ca_file:
        read_ca(store.ca_file)  # boto3 would report a bad file as a failed connection
    keys = read_credentials(store.credentials_file, store.bucket) if store.credentials_file and signed else None
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=store.region,
        verify=str(store.ca_file) if store.ca_file else None,
        aws_access_key_id=keys.access_key if keys else None,
        aws_secret_access_key=keys.secret_key if keys else None,
        config=Config(
            signature_version="s3v4" if signed else UNSIGNED,
            s3={"addressing_style": "path"},
            retries={"mode": "standard", "max_attempts": 3},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=connections,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    try:
        client.meta.events.unregister("before-call.s3", handlers.add_expect_header)
    except (AttributeError, ValueError):  # not a public name of botocore; requests are only slower
        log.debug("this botocore sends an Expect header", exc_info=True)
    # IBM requires Content-MD5; boto3 sends a CRC32 instead and has no parameter for it.
    client.meta.events.register("before-call.s3.PutBucketLifecycleConfiguration", _add_md5)
    client.meta.events.register("needs-retry.s3.HeadBucket", _follow_no_redirect)
    return client


def _follow_no_redirect(request_dict: dict[str, Any], **_: object) -> None:
    """Prevent a recursion without end: boto3 answers a redirect by HeadBucket, and a redirect of that by another."""
    request_dict["context"].setdefault("s3_redirect", {})["redirected"] = True


def _add_md5(params: dict[str, Any], **_: object) -> None:
    digest = md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = b64encode(digest).decode()


@contextmanager
def translate_errors(where: str, store: Store) -> Iterator[None]:
    """Translate errors of boto3 into a `StoreError` whose message names the cause.

    Args:
        where: Bucket and endpoint, for the message.
        store: Settings with the credentials file.
    """
    try:
        yield
    except ClientError as error:
        raise StoreError(f"{where} {cause_of_answer(error, store)}") from error
    except (BotoCoreError, ResponseParserError) as error:
        raise StoreError(f"{where} {cause_of_silence(error, store)}") from error


def not_offered(error: ClientError) -> bool:
    """Return True if the store does not offer this request, or denies it to this key."""
    return error_status(error) in {403, 405, 501} or error_code(error) in {"NotImplemented", "XNotImplemented"}
