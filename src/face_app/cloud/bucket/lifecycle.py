"""Manage the lifecycle rule that expires objects."""

import logging
from typing import Any, cast

from botocore.exceptions import ClientError

from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.cloud.stores.s3_causes import error_code
from face_app.cloud.stores.s3_client import not_offered
from face_app.common.errors import StoreError

log = logging.getLogger(__name__)

_Rule = dict[str, Any]

RULE = "face-app-expiry"
"""Id of the managed rule; the bucket's other lifecycle rules are not changed."""


class Expiry:
    """Manages one lifecycle rule: objects expire after some days, incomplete uploads after one."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket

    def ensure(self, days: int, *, check: bool) -> list[str]:
        """Set the lifetime of objects.

        Args:
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
                managed = [rule for rule in rules if rule.get("ID") == RULE]
                wanted = [_rule(days, versions=self._has_versions())] if days else []
                if [_normalised(rule) for rule in managed] == [_normalised(rule) for rule in wanted]:
                    return []
                if not check:
                    self._write([rule for rule in rules if rule.get("ID") != RULE] + wanted, options)
            except ClientError as error:
                if not not_offered(error):
                    raise
                if days:
                    raise StoreError(
                        f"{bucket.where} does not allow an expiry ({error_code(error)}): give the key's account "
                        "the right to lifecycle rules, or set bucket.expire_days to 0 and delete old faces elsewhere"
                    ) from error
                log.info("%s has no lifecycle rules (%s), so nothing to remove", bucket.where, error_code(error))
                return []
        before = next((rule.get("Expiration", {}).get("Days", 0) for rule in managed), 0)
        return [f"objects {_describe(days)} (before: {_describe(before)})"]

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

    def _write(self, rules: list[_Rule], options: dict[str, Any]) -> None:
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
            raise StoreError(
                f"{bucket.where} accepts lifecycle rules and does not save them; set bucket.expire_days to 0"
            )

    def _has_versions(self) -> bool:
        try:
            return "Status" in self._bucket.client.get_bucket_versioning(Bucket=self._bucket.name)
        except ClientError as error:
            if not_offered(error):
                return False
            raise


def _rule(days: int, *, versions: bool) -> _Rule:
    rule: _Rule = {
        "ID": RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
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
