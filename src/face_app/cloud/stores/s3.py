"""The S3 API: one PUT an object."""

import hashlib
import logging

from botocore.exceptions import BotoCoreError, ClientError

from face_app.cloud.stores.s3_bucket import S3Bucket, error_status
from face_app.cloud.stores.store import Stored, safe_parts
from face_app.errors import StoreError

log = logging.getLogger(__name__)

_TYPES = {"jpg": "image/jpeg", "png": "image/png"}
# Answers to a condition that the object did not meet, or of a store that does not know conditions.
_TAKEN = {409, 412}
_UNKNOWN = {400, 501}


class S3Store:
    """Objects are put with a condition, so that a copy is noticed; the key alone already makes copies harmless."""

    def __init__(self, bucket: S3Bucket) -> None:
        """Keep objects in this bucket."""
        self._bucket = bucket
        self._conditions = True

    def put(self, key: str, data: bytes, sha256: str) -> Stored:  # noqa: ARG002
        """Keep bytes under a key; see `Store.put`."""
        safe_parts(key)
        try:
            etag = self._upload(key, data)
        except ClientError as error:
            if error_status(error) in _TAKEN:
                return self._settle(key, data)
            with self._bucket.explained():
                raise
        except BotoCoreError:
            # No answer does not mean not stored.
            if self._bucket.holds(key, data):
                return Stored("already")
            raise
        ...
