"""Verify that a known object is stored: fetch it and compare its SHA-256."""

import hashlib
import time
from collections.abc import Callable

from face_app.cloud.bucket.operations import reader, urls
from face_app.common import settings
from face_app.common.errors import NotVerifiedError, StoreError

LINK_SECONDS = 3600
"""Seconds until the link expires."""
POLL_SECONDS = 0.2
"""Seconds between two attempts to fetch the object."""


def run(store: settings.Store, key: str, sha256: str, *, wait: float) -> str:
    """Wait for an object, fetch it and compare it.

    Args:
        store: Store settings.
        key: Key of the object.
        sha256: Expected hash, hex digits.
        wait: Maximum seconds to wait for the object.

    Returns:
        A link for a browser, valid for an hour; ``file:`` for a directory store.

    Raises:
        NotVerifiedError: The object is missing after `wait` seconds, or has other bytes.
        SettingsError: The credentials file cannot be read.
    """
    get = reader(store)
    deadline = time.monotonic() + wait
    while True:
        data, reason = _fetch(get, key)
        if data is not None:
            break
        if time.monotonic() >= deadline:
            raise NotVerifiedError(f"object {key} did not arrive within {wait:g} s: {reason}")
        time.sleep(POLL_SECONDS)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise NotVerifiedError(f"object {key} has SHA-256 {found}, expected {sha256}")
    return urls(store, [key], seconds=LINK_SECONDS)[0]


def _fetch(get: Callable[[str], bytes | None], key: str) -> tuple[bytes | None, str]:
    """Return the content of an object; None, with the reason, if it cannot be fetched now."""
    try:
        return get(key), "it does not exist"
    except StoreError as error:
        return None, str(error)
