"""Manage anonymous access: deny it by default, and allow reads of faces only if the settings do."""

import json
import logging
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.cloud.stores.s3_client import error_code, not_offered
from face_app.common.errors import StoreError

log = logging.getLogger(__name__)

SID = "FaceAppPublicFaces"
"""Id of the managed policy statement; other statements are not changed."""

_PROPAGATION_SECONDS = 10.0
"""Maximum seconds until the removal of a policy takes effect."""


class PublicRead:
    """Manages the policy statement and the public access block, and checks the effect anonymously."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket
        self._lock = PublicLock(bucket)
        self._anonymous = AnonymousClient(bucket)

    def ensure(self, *, public: bool, check: bool) -> list[str]:
        """Allow or deny anonymous reads of faces; listing is always denied.

        Args:
            public: Allow reads.
            check: Change nothing; return the pending changes.

        Returns:
            One sentence per change, made or (with `check`) pending.

        Raises:
            StoreError: No answer, a refusal, or a store that cannot allow anonymous reads.
        """
        steps = (self._lock.ensure, self._grant) if public else (self._grant, self._lock.ensure)
        with self._bucket.translate_errors():
            changes = [change for step in steps for change in step(public=public, check=check)]
            if not (check and changes):
                self._warn(public=public, seconds=_PROPAGATION_SECONDS if changes else 0)
        return changes

    def _grant(self, *, public: bool, check: bool) -> list[str]:
        """Add the managed statement to the bucket policy, or remove it."""
        bucket = self._bucket
        try:
            policy = self._policy()
            statements = policy["Statement"]
            wanted = [_statement(bucket.name)] if public else []
            managed = [each for each in statements if each.get("Sid") == SID]
            if [_normalised(each) for each in managed] == [_normalised(each) for each in wanted]:
                return []
            if not check:
                others = [each for each in statements if each.get("Sid") != SID]
                self._write(policy | {"Statement": others + wanted})
        except (ClientError, ValueError) as error:
            if isinstance(error, ClientError) and not not_offered(error):
                raise
            why = error_code(error) if isinstance(error, ClientError) else "no policy in its answer"
            if public:
                self._require_other_grant(why, error)
            else:
                log.info("%s has no bucket policy (%s): nothing to remove", bucket.where, why)
            return []
        return ["anonymous clients may read faces" if public else "anonymous read of faces is revoked"]

    def _require_other_grant(self, why: str, error: Exception) -> None:
        """Raise an error unless anonymous clients can read faces already, by other means of the store."""
        how = (
            "on IBM Cloud give the access group Public Access the role ObjectReader (never ContentReader, which lists) "
            "on this bucket in IAM; elsewhere give the key's account the right to bucket policies"
        )
        readable = self._anonymous.reads()
        if readable is False:
            raise StoreError(
                f"{self._bucket.where} does not allow a policy ({why}), and anonymous reads are denied: {how}; or set "
                "bucket.public to false"
            ) from error
        if readable is None:
            log.warning("%s does not allow a policy (%s): %s", self._bucket.where, why, how)

    def _policy(self) -> dict[str, Any]:
        try:
            policy = json.loads(self._bucket.client.get_bucket_policy(Bucket=self._bucket.name)["Policy"])
        except ClientError as error:
            if error_code(error) != "NoSuchBucketPolicy":
                raise
            return {"Version": "2012-10-17", "Statement": []}
        return {**policy, "Statement": _as_list(policy["Statement"])}

    def _write(self, policy: dict[str, Any]) -> None:
        if policy["Statement"]:
            self._bucket.client.put_bucket_policy(Bucket=self._bucket.name, Policy=json.dumps(policy))
        else:
            self._bucket.client.delete_bucket_policy(Bucket=self._bucket.name)

    def _warn(self, *, public: bool, seconds: float) -> None:
        """Check anonymous access and warn: an ACL, an access group or another policy can grant it too."""
        where = self._bucket.where
        if self._anonymous.lists():
            log.warning("%s lets anonymous clients list faces; make it private", where)
        deadline = time.monotonic() + seconds
        while not public and self._anonymous.reads():
            if time.monotonic() > deadline:
                log.warning(
                    "%s lets anonymous clients read faces, by a policy, ACL or access group of another owner", where
                )
                break
            time.sleep(0.5)
        if public:
            log.warning("%s lets anonymous clients read a face by its address, as bucket.public allows", where)


def _statement(bucket: str) -> dict[str, Any]:
    """Return the statement that allows reads of faces, but not of quarantine, and no listing."""
    return {
        "Sid": SID,
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*/face-*",
    }


def _normalised(statement: dict[str, Any]) -> dict[str, Any]:
    """Return a statement in one form: stores return ``[value]`` for ``value``, and ``{"AWS": "*"}`` for ``*``."""
    plain = {name: _as_list(value) for name, value in statement.items()}
    (principal,) = plain.get("Principal") or [None]
    if isinstance(principal, dict) and "AWS" in principal:
        return plain | {"Principal": _as_list(principal["AWS"])}
    return plain | {"Principal": [principal]}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import PublicAccessBlockConfigurationTypeDef as Locks


class PublicLock:
    """Manages the public access block of AWS; other stores may not have one."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket

    def ensure(self, *, public: bool, check: bool) -> list[str]:
        """Block public access; for a public bucket, block ACLs only.

        Args:
            public: Allow a policy to make the bucket public.
            check: Change nothing; return the pending changes.

        Returns:
            One sentence per change, made or (with `check`) pending.

        Raises:
            ClientError: The store answered with an error.
            StoreError: The block must be lifted and the store denies it.
        """
        wanted: Locks = {
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": not public,
            "RestrictPublicBuckets": not public,
        }
        present = self._read()
        if present is None:
            return []
        if public and not present:
            return []  # no block to lift
        # A store that omits a lock does not support it, so that lock counts as equal.
        if present and all(present.get(lock, on) == on for lock, on in wanted.items()):
            return []
        if not check and not self._write(wanted, public=public):
            return []
        return ["the public access block is lifted" if public else "public access is blocked"]

    def _read(self) -> "Locks | None":
        """Return the current locks: empty if never set, None if the store does not support them."""
        bucket = self._bucket
        try:
            return bucket.client.get_public_access_block(Bucket=bucket.name)["PublicAccessBlockConfiguration"]
        except ClientError as error:
            if error_code(error) == "NoSuchPublicAccessBlockConfiguration":
                return {}
            if not_offered(error):
                log.info("%s has no public access block (%s)", bucket.where, error_code(error))
                return None
            raise

    def _write(self, wanted: "Locks", *, public: bool) -> bool:
        """Write the locks; return False if the store does not accept them."""
        bucket = self._bucket
        try:
            bucket.client.put_public_access_block(Bucket=bucket.name, PublicAccessBlockConfiguration=wanted)
        except ClientError as error:
            if public:
                raise StoreError(
                    f"{bucket.where} blocks public access and refuses a change ({error_code(error)}): lift its "
                    "public access block, or set bucket.public to false"
                ) from error
            log.info("%s does not accept a public access block: %s", bucket.where, error)
            return False
        return True


class AnonymousClient:
    """Sends unsigned requests, to observe the effect of policies, ACLs and access groups."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket
        self._client = bucket.anonymous_client()

    def lists(self) -> bool:
        """Return True if an anonymous client can list objects."""
        try:
            self._client.list_objects_v2(Bucket=self._bucket.name, MaxKeys=1)
        except (ClientError, BotoCoreError):
            return False
        return True

    def reads(self) -> bool | None:
        """Return True if an anonymous client can read the first object; None for an empty bucket.

        Raises:
            StoreError: The signed listing failed.
        """
        key = next(self._bucket.keys(""), None)
        if key is None:
            return None
        try:
            self._client.head_object(Bucket=self._bucket.name, Key=key)
        except (ClientError, BotoCoreError):
            return False
        return True
