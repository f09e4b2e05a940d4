"""The lock that some stores have against a bucket that is made public by mistake."""

import logging
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.cloud.stores.s3_client import error_code, not_offered
from face_app.errors import StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import PublicAccessBlockConfigurationTypeDef as Locks

log = logging.getLogger(__name__)


class PublicLock:
    """What AWS calls the public access block. A store without it has nothing to unlock either."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket

    def ensure(self, *, public: bool, check: bool) -> list[str]:
        """Lock the bucket, or, for a public one, leave only ACLs locked.

        Args:
            public: Whether a policy may make it public.
            check: Change nothing, only tell.

        Returns:
            What was, or would be, changed, in words.

        Raises:
            ClientError: The store answered with an error.
            StoreError: It is locked and should not be, and the store does not let us.
        """
        wanted: Locks = {
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": not public,
            "RestrictPublicBuckets": not public,
        }
        present = self._present()
        if present is None:
            return []
        # Where nothing was ever locked, nothing is in the way.
        if public and not present:
            return []
        # A store that does not tell of one of the locks knows nothing of it.
        if present and all(present.get(lock, on) == on for lock, on in wanted.items()):
            return []
        if not check and not self._set(wanted, public=public):
            return []
        return ["the lock against a public policy is lifted" if public else "it is locked against being made public"]

    def _present(self) -> "Locks | None":
        """The locks as they are, empty where none was ever set; None: the store has no such thing."""
        bucket = self._bucket
        try:
            return bucket.client.get_public_access_block(Bucket=bucket.name)["PublicAccessBlockConfiguration"]
        except ClientError as error:
            if error_code(error) == "NoSuchPublicAccessBlockConfiguration":
                return {}
            if not_offered(error):
                log.info("%s has no lock against being made public (%s)", bucket.where, error_code(error))
                return None
            raise

    def _set(self, wanted: "Locks", *, public: bool) -> bool:
        bucket = self._bucket
        try:
            bucket.client.put_public_access_block(Bucket=bucket.name, PublicAccessBlockConfiguration=wanted)
        except ClientError as error:
            if public:
                raise StoreError(
                    f"{bucket.where} is locked against being made public and stays so ({error_code(error)}): lift its "
                    "public access block, or set bucket.public to false"
                ) from error
            log.info("%s cannot be locked against being made public: %s", bucket.where, error)
            return False
        return True
