"""Manage the lifecycle rules that expire objects."""

import logging
from dataclasses import dataclass
from typing import Any, cast

from botocore.exceptions import ClientError

from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.cloud.stores.s3_causes import error_code
from face_app.cloud.stores.s3_client import not_offered
from face_app.common.errors import StoreError

log = logging.getLogger(__name__)

_Rule = dict[str, Any]


@dataclass(frozen=True)
class ManagedRule:
    """Names one lifecycle rule; the bucket's other rules are not changed.

    Attributes:
        id: Id of the rule.
        prefix: Prefix of the keys of its objects.
        objects: What they are, for messages.
        setting: The setting of its days.
        required: Whether a store without lifecycle rules is an error.
    """

    id: str
    prefix: str
    objects: str
    setting: str
    required: bool


FACES = ManagedRule("face-app-expiry", "", "objects", "bucket.expire_days", required=True)
QUARANTINE = ManagedRule(
    "face-app-quarantine", "quarantine/", "copies in quarantine", "bucket.quarantine_days", required=False
)


class Expiry:
    """Manages lifecycle rules: objects expire after some days, incomplete uploads after one."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket

    def ensure(self, managed_rule: ManagedRule, days: int, *, check: bool) -> list[str]:
        """Set the lifetime of objects.

        Args:
            managed_rule: Rule to set.
            days: Days until the store deletes an object; 0: remove the rule.
            check: Change nothing; return the pending changes.

        Returns:
            One sentence per change, made or (with `check`) pending.

        Raises:
            StoreError: No answer, a refusal, or a store without lifecycle rules although `days` is not 0.
        """
        bucket = self._bucket
        with bucket.translate_errors():
            try:
                rules, options = self._read()
                managed = [rule for rule in rules if rule.get("ID") == managed_rule.id]
                wanted = [_rule(managed_rule, days, versions=self._has_versions())] if days else []
                if [_normalised(rule) for rule in managed] == [_normalised(rule) for rule in wanted]:
                    return []
                if not check:
                    others = [rule for rule in rules if rule.get("ID") != managed_rule.id]
                    self._write(others + wanted, options, managed_rule.setting)
            except ClientError as error:
                if not not_offered(error):
                    raise
                refusal = (
                    f"{bucket.where} does not allow an expiry ({error_code(error)}): give the key's account the right "
                    f"to lifecycle rules, or set {managed_rule.setting} to 0 and delete old {managed_rule.objects} "
                    "elsewhere"
                )
                if days and managed_rule.required:
                    raise StoreError(refusal) from error
                if days:
                    log.warning("%s", refusal)
                else:
                    log.info("%s has no lifecycle rules (%s), so nothing to remove", bucket.where, error_code(error))
                return []
        before = next((rule.get("Expiration", {}).get("Days", 0) for rule in managed), 0)
        return [f"{managed_rule.objects} {_describe(days)} (before: {_describe(before)})"]

    def read(self) -> tuple[list[_Rule], str]:
        """Return all lifecycle rules of the bucket, and why they cannot be read: empty if they were read.

        Raises:
            StoreError: No answer, or a refusal of something else than lifecycle rules.
        """
        with self._bucket.translate_errors():
            try:
                return self._read()[0], ""
            except ClientError as error:
                if not not_offered(error):
                    raise
                return [], error_code(error)

    def _read(self) -> tuple[list[_Rule], dict[str, Any]]:
        """Return all lifecycle rules, and the options that a write must repeat."""
        try:
            answer = self._bucket.client.get_bucket_lifecycle_configuration(Bucket=self._bucket.name)
        except ClientError as error:
            if error_code(error) == "NoSuchLifecycleConfiguration":
                return [], {}
            raise
        options = {key: value for key, value in answer.items() if key == "TransitionDefaultMinimumObjectSize"}
        return cast("list[_Rule]", answer.get("Rules", [])), options

    def _write(self, rules: list[_Rule], options: dict[str, Any], setting: str) -> None:
        bucket = self._bucket
        if rules:
            configuration = cast("Any", {"Rules": rules})
            bucket.client.put_bucket_lifecycle_configuration(
                Bucket=bucket.name, LifecycleConfiguration=configuration, **options
            )
        else:
            bucket.client.delete_bucket_lifecycle(Bucket=bucket.name)
        saved, _ = self._read()
        if {rule.get("ID") for rule in saved} != {rule.get("ID") for rule in rules}:
            raise StoreError(f"{bucket.where} accepts lifecycle rules and does not save them; set {setting} to 0")

    def _has_versions(self) -> bool:
        try:
            return "Status" in self._bucket.client.get_bucket_versioning(Bucket=self._bucket.name)
        except ClientError as error:
            if not_offered(error):
                return False
            raise


def _rule(managed_rule: ManagedRule, days: int, *, versions: bool) -> _Rule:
    rule: _Rule = {
        "ID": managed_rule.id,
        "Status": "Enabled",
        "Filter": {"Prefix": managed_rule.prefix},
        "Expiration": {"Days": days},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    if versions:
        # In a versioned bucket, expiry only hides an object behind a delete marker; delete the hidden version too.
        rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": 1}
    return rule


def _normalised(rule: _Rule) -> tuple[object, ...]:
    """Return the parts of a rule that matter, in one form: stores return equal rules in different forms."""
    return (
        rule["Status"],
        rule.get("Filter", {}).get("Prefix") or rule.get("Prefix") or "",
        rule.get("Expiration", {}).get("Days"),
        rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
        rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
    )


def _describe(days: int) -> str:
    return f"are deleted after {days} days" if days else "do not expire"
