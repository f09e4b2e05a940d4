"""Who may read faces without a key: nobody, unless the operator says so."""

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
"""The statement of ours in the bucket's policy; all others are left as they are."""

_PATIENCE = 10.0
"""Seconds in which a policy that was taken back must have gone."""


class PublicRead:
    """The statement of ours in the bucket's policy, behind the store's lock against such, and what a stranger sees."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket
        self._lock = PublicLock(bucket)
        self._stranger = AnonymousClient(bucket)

    def ensure(self, *, public: bool, check: bool) -> list[str]:
        """Let anybody read faces and only read them, or nobody.

        Args:
            public: Whether anybody may.
            check: Change nothing, only tell.

        Returns:
            What was, or would be, changed, in words.

        Raises:
            StoreError: No answer, a refusal, or a store that cannot do it and was asked to.
        """
        steps = (self._lock.ensure, self._grant) if public else (self._grant, self._lock.ensure)
        with self._bucket.translate_errors():
            changes = [words for step in steps for words in step(public=public, check=check)]
            if not (check and changes):
                self._warn(public=public, seconds=_PATIENCE if changes else 0)
        return changes

    def _grant(self, *, public: bool, check: bool) -> list[str]:
        """Put our statement into the bucket's policy, or take it out."""
        bucket = self._bucket
        try:
            policy = self._policy()
            statements = policy["Statement"]
            wanted = [_statement(bucket.name)] if public else []
            if [_meaning(each) for each in statements if each.get("Sid") == SID] == [_meaning(each) for each in wanted]:
                return []
            if not check:
                others = [each for each in statements if each.get("Sid") != SID]
                self._write(policy | {"Statement": others + wanted})
        except (ClientError, ValueError) as error:
            if isinstance(error, ClientError) and not not_offered(error):
                raise
            why = error_code(error) if isinstance(error, ClientError) else "no policy in its answer"
            if public:
                self._explain_how_else(why, error)
            else:
                log.info("%s tells no bucket policy (%s): none of ours to take back", bucket.where, why)
            return []
        return ["anybody may read faces" if public else "public read of faces is taken back"]

    def _explain_how_else(self, why: str, error: Exception) -> None:
        """Go on where somebody made the faces public by the store's own means."""
        how = (
            "on IBM Cloud give the access group Public Access the role ObjectReader (never ContentReader, which lists) "
            "on this bucket in IAM; elsewhere give the key's account the right to bucket policies"
        )
        readable = self._stranger.reads()
        if readable is False:
            raise StoreError(
                f"{self._bucket.where} does not let us set a policy ({why}), and strangers read nothing: {how}; or set "
                "bucket.public to false"
            ) from error
        if readable is None:
            log.warning("%s does not let us set a policy (%s): %s", self._bucket.where, why, how)

    def _policy(self) -> dict[str, Any]:
        try:
            policy = json.loads(self._bucket.client.get_bucket_policy(Bucket=self._bucket.name)["Policy"])
        except ClientError as error:
            if error_code(error) != "NoSuchBucketPolicy":
                raise
            return {"Version": "2012-10-17", "Statement": []}
        return {**policy, "Statement": _listed(policy["Statement"])}

    def _write(self, policy: dict[str, Any]) -> None:
        if policy["Statement"]:
            self._bucket.client.put_bucket_policy(Bucket=self._bucket.name, Policy=json.dumps(policy))
        else:
            self._bucket.client.delete_bucket_policy(Bucket=self._bucket.name)

    def _warn(self, *, public: bool, seconds: float) -> None:
        """See the bucket with a stranger's eyes: an ACL, an access group or somebody's policy may open it too."""
        where = self._bucket.where
        if self._stranger.lists():
            log.warning("%s shows its list of faces to anybody; make it private", where)
        deadline = time.monotonic() + seconds
        while not public and self._stranger.reads():
            if time.monotonic() > deadline:
                log.warning("%s shows faces to anybody, by a policy, ACL or access group that is not ours", where)
                break
            time.sleep(0.5)
        if public:
            log.warning("%s shows faces to anybody who knows or guesses an address, as bucket.public says", where)


def _statement(bucket: str) -> dict[str, Any]:
    """Faces, and not what was refused; to be read, and not to be listed."""
    return {
        "Sid": SID,
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*/face-*",
    }


def _meaning(statement: dict[str, Any]) -> dict[str, Any]:
    """A statement in one wording: stores give back a list where one word was, and AWS: * for *."""
    plain = {name: _listed(value) for name, value in statement.items()}
    (principal,) = plain.get("Principal") or [None]
    return plain | {
        "Principal": _listed(principal["AWS"]) if isinstance(principal, dict) and "AWS" in principal else [principal]
    }


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import PublicAccessBlockConfigurationTypeDef as Locks


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


class AnonymousClient:
    """Asks the store as anybody can, and so finds what policies, ACLs and access groups come to."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket
        self._client = bucket.stranger()

    def lists(self) -> bool:
        """Whether a stranger gets the list of objects."""
        try:
            self._client.list_objects_v2(Bucket=self._bucket.name, MaxKeys=1)
        except (ClientError, BotoCoreError):
            return False
        return True

    def reads(self) -> bool | None:
        """Whether a stranger gets the first object; None where there is none.

        Raises:
            StoreError: Our own key gets no list.
        """
        key = next(self._bucket.keys(""), None)
        if key is None:
            return None
        try:
            self._client.head_object(Bucket=self._bucket.name, Key=key)
        except (ClientError, BotoCoreError):
            return False
        return True
