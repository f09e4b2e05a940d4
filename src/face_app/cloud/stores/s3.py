"""Store faces through the S3 API, one PUT per object."""

import logging

from botocore.exceptions import ClientError

from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.cloud.stores.s3_causes import error_code, error_status
from face_app.cloud.stores.store import Stored, safe_parts
from face_app.common.errors import StoreError

log = logging.getLogger(__name__)

_TYPES = {"jpg": "image/jpeg", "png": "image/png"}
_TAKEN = {409, 412}  # HTTP status of a conditional PUT whose key exists


class S3Store:
    """Stores objects with conditional PUTs, which detect copies. Without them, a HEAD before each PUT does."""

    def __init__(self, bucket: S3Bucket) -> None:
        """Store objects in this bucket."""
        self._bucket = bucket
        self._conditional = True

    def put(self, key: str, data: bytes, sha256: str) -> Stored:
        """Store bytes under a key; see `Store.put`."""
        content_type = _TYPES.get(safe_parts(key)[-1].rpartition(".")[2], "application/octet-stream")
        with self._bucket.translate_errors():
            if self._put_new(key, data, sha256, content_type):
                return Stored("created")
            matches = self._bucket.matches(key, data, sha256)
            if matches:
                return Stored("already")
            if matches is None:
                raise StoreError(f"{self._bucket.where} answered that a key is taken, then that it is free; retrying")
            self._bucket.refuse_replacing(key)
            self._bucket.put(key, data, sha256, content_type, only_new=False)
            return Stored("repaired")

    def check(self) -> None:
        """Check that the bucket exists and the key pair has access."""
        self._bucket.check()

    def _put_new(self, key: str, data: bytes, sha256: str, content_type: str) -> bool:
        """Upload an object; return False if its key is taken."""
        conditional = self._conditional
        if not conditional and self._bucket.head(key):
            return False  # two puts of other bytes at one moment could still replace each other
        try:
            self._bucket.put(key, data, sha256, content_type, only_new=conditional)
        except ClientError as error:
            if conditional and error_status(error) in _TAKEN:
                return False  # 409 or 412: the key is taken
            if not (conditional and _lacks_conditions(error)):
                raise
            self._conditional = False
            log.info("%s does not support conditional puts; asking for each key instead", self._bucket.where)
            return self._put_new(key, data, sha256, content_type)
        return True


def _lacks_conditions(error: ClientError) -> bool:
    """Return True if the store refused the condition; any other 400, such as a truncated body, has another cause."""
    status = error_status(error)
    return status == 501 or (status == 400 and error_code(error) in {"NotImplemented", "InvalidArgument"})
