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

from face_app.cloud.stores.credentials import read_credentials
from face_app.common.errors import StoreError
from face_app.common.settings import Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

_REFUSED = {
    *("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"),
    *("AccountProblem", "AllAccessDisabled", "Forbidden", "Unauthorized"),
}


def connect(store: Store, endpoint: str | None, *, connections: int, signed: bool = True) -> "S3Client":
    """Create a client without a request.

    Args:
        store: Region and credentials file.
        endpoint: S3 address; None: AWS.
        connections: Maximum number of parallel requests.
        signed: False: send anonymous requests.

    Raises:
        SettingsError: The credentials file cannot be read.
    """
    keys = read_credentials(store.credentials_file, store.bucket) if store.credentials_file and signed else None
    client = boto3.client(
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
    return client


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
        code = error_code(error)
        status = error_status(error)
        if code == "NoSuchBucket":
            problem = "does not exist; `face-app bucket ensure` creates it, or change store.bucket"
        elif code == "BucketAlreadyExists":
            problem = "belongs to another account; change store.bucket"
        elif code in _REFUSED or status in {401, 403}:
            problem = f"refuses the key in {store.credentials_file} ({code})"
        else:
            problem = f"answers {status} {code}: {error.response['Error'].get('Message', '')}"[:300]
        raise StoreError(f"{where} {problem}") from error
    except BotoCoreError as error:
        raise StoreError(
            f"{where} does not answer ({type(error).__name__}); check store.endpoint and the store"
        ) from error


def not_offered(error: ClientError) -> bool:
    """Return True if the store does not offer this request, or denies it to this key."""
    return error_status(error) in {403, 405, 501} or error_code(error) in {"NotImplemented", "XNotImplemented"}


def error_code(error: ClientError) -> str:
    """Return the S3 code of an error, such as ``NoSuchBucket``."""
    return str(error.response["Error"].get("Code", ""))


def error_status(error: ClientError) -> int:
    """Return the HTTP status of an error."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
