"""Manage anonymous access: deny it by default, and allow reads of faces only if `bucket.public` is true."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.cloud.stores.s3_causes import error_code, error_status
from face_app.cloud.stores.s3_client import not_offered
from face_app.common.errors import StoreError
from face_app.common.wire import RESERVED, face_of_key

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import PublicAccessBlockConfigurationTypeDef as BlockSettings

log = logging.getLogger(__name__)

SID = "FaceAppPublicFaces"
"""Id of the managed statement that allows reads of faces. Other statements stay as they are."""
PRIVATE_SID = "FaceAppPrivateOthers"
"""Id of the managed statement that denies anonymous reads below the reserved prefixes."""
_SIDS = (SID, PRIVATE_SID)

_PROPAGATION_SECONDS = 10.0
"""Maximum seconds until the removal of a policy takes effect."""


class _NoPolicyError(Exception):
    """Signals that a store lacks bucket policies, or denies them to this access key; the message is the reason."""


class PublicRead:
    """Manages the policy statement and the public access block, and checks the effect anonymously."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket
        self._block = PublicAccessBlock(bucket)
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
        # A block rejects a public policy: lift it before granting, restore it after revoking.
        steps = (self._block.ensure, self._set_statement) if public else (self._set_statement, self._block.ensure)
        with self._bucket.translate_errors():
            changes = [change for step in steps for change in step(public=public, check=check)]
            if not (check and changes):
                self._check_effect(public=public, seconds=_PROPAGATION_SECONDS if changes else 0)
        return changes

    def _set_statement(self, *, public: bool, check: bool) -> list[str]:
        """Add the managed statement to the bucket policy, or remove it."""
        bucket = self._bucket
        wanted = _statements(bucket.name) if public else []
        try:
            policy = self._policy()
            statements = policy["Statement"]
            managed = [each for each in statements if each.get("Sid") in _SIDS]
            if [_normalised(each) for each in managed] == [_normalised(each) for each in wanted]:
                return []
            if not check:
                others = [each for each in statements if each.get("Sid") not in _SIDS]
                self._write(policy | {"Statement": others + wanted})
        except _NoPolicyError as error:
            if public:
                self._require_public_read(error)
            else:
                log.info("%s has no bucket policy (%s): nothing to remove", bucket.where, error)
            return []
        return ["anonymous clients may read faces" if public else "anonymous read of faces is revoked"]

    def _require_public_read(self, error: _NoPolicyError) -> None:
        """Raise an error unless anonymous clients can read faces already, by other means of the store."""
        how = (
            "on IBM Cloud give the access group Public Access the role ObjectReader (never ContentReader, which lists) "
            "on this bucket in IAM; elsewhere give the key's account the right to bucket policies"
        )
        readable = self._anonymous.reads()
        if readable is False:
            raise StoreError(
                f"{self._bucket.where} does not allow a policy ({error}), and anonymous reads are denied: {how}; or "
                "set bucket.public to false"
            ) from error
        if readable is None:  # cannot be tested yet, because the bucket has no face
            log.warning("%s does not allow a policy (%s): %s", self._bucket.where, error, how)

    def _policy(self) -> dict[str, Any]:
        """Return the bucket policy with its statements as a list; without statements if none is set.

        Raises:
            _NoPolicyError: The store does not offer policies, or denies them.
        """
        try:
            with _translate_refusal():
                policy = json.loads(self._bucket.client.get_bucket_policy(Bucket=self._bucket.name)["Policy"])
        except ClientError as error:
            if error_code(error) != "NoSuchBucketPolicy":
                raise
            return {"Version": "2012-10-17", "Statement": []}
        except ValueError as error:
            raise _NoPolicyError("no policy in its answer") from error
        return {**policy, "Statement": _as_list(policy["Statement"])}

    def _write(self, policy: dict[str, Any]) -> None:
        with _translate_refusal():
            if policy["Statement"]:
                self._bucket.client.put_bucket_policy(Bucket=self._bucket.name, Policy=json.dumps(policy))
            else:
                self._bucket.client.delete_bucket_policy(Bucket=self._bucket.name)

    def _check_effect(self, *, public: bool, seconds: float) -> None:
        """Warn about what anonymous clients can do, as their own requests show it.

        Something other than the managed statements may grant it.

        Args:
            public: Reads are allowed.
            seconds: Maximum seconds until a change takes effect.
        """
        where = self._bucket.where
        if self._anonymous.lists():
            log.warning("%s lets anonymous clients list faces; make it private", where)
        if key := self._anonymous.readable_other():
            log.warning("%s lets anonymous clients read %s, which is no face; make it private", where, key)
        deadline = time.monotonic() + seconds
        while (readable := self._anonymous.reads()) not in {public, None} and time.monotonic() < deadline:
            time.sleep(0.5)
        if readable and public:
            log.warning("%s lets anonymous clients read a face by its address, as bucket.public allows", where)
        elif readable:
            log.warning(
                "%s lets anonymous clients read faces, by a policy, ACL or access group of another owner", where
            )
        elif public and readable is False:
            log.warning("%s denies anonymous reads of faces, although bucket.public allows them", where)
        elif public:
            log.warning("%s has no face yet, so whether anonymous clients can read one is unknown", where)


def _statements(bucket: str) -> list[dict[str, Any]]:
    """Return the statements that allow reads of faces and of no other object, and no listing.

    In a policy ``*`` matches ``/`` too. So the hour in the pattern prevents a match of names such as ``face-1``, and
    the second statement excludes ``erased/<key of a face>``. It applies to anonymous clients alone: the programs read
    these objects with their keys.
    """
    arn = f"arn:aws:s3:::{bucket}"
    shared = {"Principal": "*", "Action": "s3:GetObject"}
    return [
        {"Sid": SID, "Effect": "Allow", **shared, "Resource": f"{arn}/*/*/????/??/??/??/face-*"},
        {
            "Sid": PRIVATE_SID,
            "Effect": "Deny",
            **shared,
            "Resource": [f"{arn}/{prefix}/*" for prefix in sorted(RESERVED)],
            # A request without a signature has no type of signature.
            "Condition": {"Null": {"s3:authType": "true"}},
        },
    ]


def _normalised(statement: dict[str, Any]) -> dict[str, Any]:
    """Return a statement in one form: stores return ``[value]`` for ``value``, and ``{"AWS": "*"}`` for ``*``."""
    plain = {name: _as_list(value) for name, value in statement.items()}
    principals: list[Any] = []
    for principal in plain.get("Principal", []):
        if isinstance(principal, dict) and principal.keys() == {"AWS"}:
            principals += _as_list(principal["AWS"])
        else:
            principals.append(principal)
    return plain | {"Principal": principals}


@contextmanager
def _translate_refusal() -> Iterator[None]:
    """Translate the answer of a store that does not offer policies, or denies them, into a `_NoPolicyError`."""
    try:
        yield
    except ClientError as error:
        if not_offered(error):
            raise _NoPolicyError(error_code(error)) from error
        raise


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


class PublicAccessBlock:
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
        wanted: BlockSettings = {
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": not public,
            "RestrictPublicBuckets": not public,
        }
        present = self._read()
        if present is None:
            return []  # the store has no public access block
        if public and not present:
            return []  # no block to lift
        # A store that omits a setting does not support it, so that setting counts as equal.
        if present and all(present.get(name, value) == value for name, value in wanted.items()):
            return []
        if not check and not self._write(wanted, public=public):
            return []  # not accepted; nothing has changed
        return ["the public access block is lifted" if public else "public access is blocked"]

    def _read(self) -> "BlockSettings | None":
        """Return the current settings: empty if never set, None if the store does not support them."""
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

    def _write(self, wanted: "BlockSettings", *, public: bool) -> bool:
        """Write the settings; return False if the store does not accept them."""
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
        """Return True if an anonymous client can list objects.

        Raises:
            BotoCoreError: No answer, so the bucket may be public.
            ClientError: The answer is no refusal.
        """
        with _Refusal() as refusal:
            self._client.list_objects_v2(Bucket=self._bucket.name, MaxKeys=1)
        return not refusal.happened

    def reads(self) -> bool | None:
        """Return True if an anonymous client can read a face; None if the bucket has none.

        Raises:
            BotoCoreError, ClientError: As for `lists`.
            StoreError: The signed listing failed.
        """
        # The managed statements do not allow reads of other objects, such as those in quarantine.
        key = next((key for key in self._bucket.keys("") if face_of_key(key)), None)
        return None if key is None else self._reads(key)

    def readable_other(self) -> str:
        """Return the key of an object below a reserved prefix that an anonymous client can read; empty if none is.

        Raises:
            BotoCoreError, ClientError, StoreError: As for `reads`.
        """
        firsts = (next(iter(self._bucket.keys(f"{prefix}/")), None) for prefix in sorted(RESERVED))
        return next((key for key in firsts if key and self._reads(key)), "")

    def _reads(self, key: str) -> bool:
        with _Refusal() as refusal:
            self._client.head_object(Bucket=self._bucket.name, Key=key)
        return not refusal.happened


class _Refusal:
    """Catches the refusal of an anonymous request; any other error leaves the answer unknown, and passes.

    Attributes:
        happened: The store refused the request.
    """

    def __init__(self) -> None:
        self.happened = False

    def __enter__(self) -> "_Refusal":
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        # Some stores refuse an anonymous request with 400 or 401.
        self.happened = isinstance(error, ClientError) and error_status(error) in {400, 401, 403, 404, 405}
        return self.happened
