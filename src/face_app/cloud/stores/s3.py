"""The S3 API: one PUT an object."""

import logging

from botocore.exceptions import ClientError

from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.cloud.stores.s3_client import error_code, error_status
from face_app.cloud.stores.store import Stored, safe_parts
from face_app.common.errors import StoreError

log = logging.getLogger(__name__)

_TYPES = {"jpg": "image/jpeg", "png": "image/png"}
_TAKEN = {409, 412}


class S3Store:
    """Puts carry a condition, so that a copy is noticed; that keys repeat makes copies harmless without it."""

    def __init__(self, bucket: S3Bucket) -> None:
        """Keep objects in this bucket."""
        self._bucket = bucket
        self._conditional = True

    def put(self, key: str, data: bytes, sha256: str) -> Stored:
        """Keep bytes under a key; see `Store.put`."""
        content_type = _TYPES.get(safe_parts(key)[-1].rpartition(".")[2], "application/octet-stream")
        with self._bucket.translate_errors():
            if self._put_new(key, data, sha256, content_type):
                return Stored("created")
            held = self._bucket.holds(key, data, sha256)
            if held:
                return Stored("already")
            if held is None:
                raise StoreError(f"{self._bucket.where} said that a key is taken, then that it is free; trying again")
            self._bucket.put(key, data, sha256, content_type, only_new=False)
            return Stored("repaired")

    def check(self) -> None:
        """See that the bucket is there and the key opens it."""
        self._bucket.check()

    def _put_new(self, key: str, data: bytes, sha256: str, content_type: str) -> bool:
        conditional = self._conditional
        try:
            self._bucket.put(key, data, sha256, content_type, only_new=conditional)
        except ClientError as error:
            if conditional and error_status(error) in _TAKEN:
                return False
            if not (conditional and _knows_no_conditions(error)):
                raise
            self._bucket.put(key, data, sha256, content_type, only_new=False)
            self._conditional = False
            log.info("%s does not know conditional puts; going on without", self._bucket.where)
        return True


def _knows_no_conditions(error: ClientError) -> bool:
    """Whether the condition is what was refused; another 400, as of a cut body, says nothing of it."""
    status = error_status(error)
    return status == 501 or (status == 400 and error_code(error) in {"NotImplemented", "InvalidArgument"})
