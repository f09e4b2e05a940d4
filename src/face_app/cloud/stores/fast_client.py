"""Access objects through obstore, if it is installed: a small object takes a seventh of boto3's CPU time.

On any failure boto3 repeats the request and reports the cause.
"""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from face_app.cloud.stores.credentials import read_ca, read_credentials
from face_app.common.errors import SettingsError
from face_app.common.settings import Store

try:
    import obstore
    from obstore.exceptions import AlreadyExistsError
    from obstore.store import S3Store
except ImportError:
    INSTALLED = False
else:
    INSTALLED = True

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

BOTO3_ONLY_SECONDS = 30.0
"""Seconds after a failure in which only boto3 is used, so that a failing store does not get each request twice."""


def fast_client(store: Store, *, connections: int) -> "FastClient | None":
    """Create a client; None if obstore is not installed or cannot start, for example without CA certificates.

    Args:
        store: Bucket, endpoint and credentials file.
        connections: Maximum number of idle connections.

    Raises:
        SettingsError: The credentials file or the CA file cannot be read.
    """
    if not INSTALLED:
        return None
    try:
        return FastClient(store, connections=connections)
    except (SettingsError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of native code is no Exception
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        log.warning("obstore cannot start, boto3 is used instead: %s", cause)
        return None


class FastClient:
    """Accesses one bucket through obstore. Thread-safe.

    Each method returns None if boto3 must repeat the request: it failed, its key is missing or taken, the ETag of an
    upload is unknown, or a failure was less than `BOTO3_ONLY_SECONDS` ago.
    """

    def __init__(self, store: Store, *, connections: int) -> None:
        file = store.credentials_file
        credentials = read_credentials(file, store.bucket) if file else None
        client: ClientConfig = {
            "allow_http": (store.endpoint or "").startswith("http:"),
            "connect_timeout": timedelta(seconds=3),
            "timeout": timedelta(seconds=10),
            "pool_max_idle_per_host": str(connections),
        }
        if store.ca_file:
            client["root_certificate"] = read_ca(store.ca_file)
        config: S3Config = {"region": store.region, "virtual_hosted_style_request": False}
        if store.endpoint:
            config["endpoint"] = store.endpoint
        if credentials:
            config |= {"access_key_id": credentials.access_key, "secret_access_key": credentials.secret_key}
        retry: RetryConfig = {"max_retries": 0, "retry_timeout": timedelta(seconds=10)}
        self._boto3_only_until = 0.0
        self._store = S3Store(store.bucket, config=config, client_options=client, retry_config=retry)

    def put(self, key: str, data: bytes, sha256: str, content_type: str, *, only_new: bool) -> str | None:
        """Upload an object, see `S3Bucket.put`; return its ETag without quotes.

        The request's signature includes a hash of the body, so the store detects corruption without a Content-MD5
        header.
        """
        answer = self._ask(
            lambda: obstore.put(
                self._store,
                key,
                data,
                attributes={
                    "Content-Type": content_type,
                    "sha256": sha256,  # becomes the metadata x-amz-meta-sha256
                },
                mode="create" if only_new else "overwrite",
                use_multipart=False,
            )
        )
        if answer is None:
            return None
        return (answer["e_tag"] or "").strip('"') or None

    def head(self, key: str) -> tuple[int, str] | None:
        """Return size in bytes and ETag without quotes of an object."""
        answer = self._ask(lambda: obstore.head(self._store, key))
        return (answer["size"], (answer["e_tag"] or "").strip('"')) if answer else None

    def get(self, key: str) -> bytes | None:
        """Fetch an object."""
        return self._ask(lambda: bytes(obstore.get(self._store, key).bytes()))

    def _ask(self, request: Callable[[], Answer]) -> Answer | None:
        """Return the answer to a request."""
        if time.monotonic() < self._boto3_only_until:
            return None
        try:
            return request()
        except (AlreadyExistsError, FileNotFoundError):
            return None  # not a fault of obstore; boto3 repeats the request and handles the answer
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic of native code is no Exception; boto3 reports the cause
            log.debug("obstore failed, boto3 replaces it for %.0f s: %s", BOTO3_ONLY_SECONDS, error)
            self._boto3_only_until = time.monotonic() + BOTO3_ONLY_SECONDS
            return None
