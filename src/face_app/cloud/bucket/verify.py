"""Whether a known face has arrived: fetched from the store itself, compared by its SHA-256."""

import hashlib
import time

from face_app.cloud.bucket.bucket import reader, urls
from face_app.common import settings
from face_app.common.errors import NotVerifiedError, StoreError

LINK_SECONDS = 3600
ASK_EVERY = 0.2


def run(store: settings.Store, key: str, sha256: str, *, wait: float) -> str:
    """Wait for an object, fetch it and compare it.

    Args:
        store: Where it is expected.
        key: Its key.
        sha256: What it must hash to.
        wait: Seconds until it must have arrived.

    Returns:
        A link for people that opens it for an hour; ``file:`` for a plain folder.

    Raises:
        NotVerifiedError: It is not there in time, or holds other bytes.
        SettingsError: The credentials file cannot be read.
    """
    get = reader(store)
    deadline = time.monotonic() + wait
    while True:
        data, reason = None, "it is not there"
        try:
            data = get(key)
        except StoreError as error:
            reason = str(error)
        if data is not None:
            break
        if time.monotonic() >= deadline:
            raise NotVerifiedError(f"object {key} did not arrive within {wait:g} s: {reason}")
        time.sleep(ASK_EVERY)  # no store tells of a new object
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise NotVerifiedError(f"object {key} has SHA-256 {found}, expected {sha256}")
    return urls(store, [key], seconds=LINK_SECONDS)[0]
