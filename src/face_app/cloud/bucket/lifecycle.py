"""When the store itself deletes what is in the bucket."""

import logging
from typing import Any, cast

from botocore.exceptions import ClientError

from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.cloud.stores.s3_client import error_code, not_offered
from face_app.common.errors import StoreError

log = logging.getLogger(__name__)

_Rule = dict[str, Any]

RULE = "face-app-expiry"
"""The rule of ours among the bucket's lifecycle rules; all others are left as they are."""


class Expiry:
    """The lifecycle rule of ours: objects go after some days, what is left of broken uploads after one."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket

    def ensure(self, days: int, *, check: bool) -> list[str]:
        """Have objects deleted after so many days, or, with 0, never by us.

        Args:
            days: How long an object lives.
            check: Change nothing, only tell.

        Returns:
            What was, or would be, changed, in words.

        Raises:
            StoreError: No answer, a refusal, or a store that cannot do it and was asked to.
        """
        bucket = self._bucket
        with bucket.translate_errors():
            try:
                rules, beside = self._read()
                ours = [rule for rule in rules if rule.get("ID") == RULE]
                wanted = [_rule(days, versions=self._keeps_versions())] if days else []
                if [_meaning(rule) for rule in ours] == [_meaning(rule) for rule in wanted]:
                    return []
                if not check:
                    self._write([rule for rule in rules if rule.get("ID") != RULE] + wanted, beside)
            except ClientError as error:
                if not not_offered(error):
                    raise
                if days:
                    raise StoreError(
                        f"{bucket.where} does not let us set an expiry ({error_code(error)}): give the key's account "
                        "the right to lifecycle rules, or set bucket.expire_days to 0 and delete old faces otherwise"
                    ) from error
                log.info("%s tells no lifecycle rules (%s), so none of ours", bucket.where, error_code(error))
                return []
        before = next((rule.get("Expiration", {}).get("Days", 0) for rule in ours), 0)
        return [f"objects {_words(days)} (before: {_words(before)})"]

    def _read(self) -> tuple[list[_Rule], dict[str, Any]]:
        """The rules, and what else belongs to them and is given back with them."""
        try:
            answer = self._bucket.client.get_bucket_lifecycle_configuration(Bucket=self._bucket.name)
        except ClientError as error:
            if error_code(error) == "NoSuchLifecycleConfiguration":
                return [], {}
            raise
        beside = {key: value for key, value in answer.items() if key == "TransitionDefaultMinimumObjectSize"}
        return cast("list[_Rule]", answer.get("Rules", [])), beside

    def _write(self, rules: list[_Rule], beside: dict[str, Any]) -> None:
        bucket = self._bucket
        if rules:
            configuration = cast("Any", {"Rules": rules})
            bucket.client.put_bucket_lifecycle_configuration(
                Bucket=bucket.name, LifecycleConfiguration=configuration, **beside
            )
        else:
            bucket.client.delete_bucket_lifecycle(Bucket=bucket.name)
        kept, _ = self._read()
        if {rule.get("ID") for rule in kept} != {rule.get("ID") for rule in rules}:
            raise StoreError(
                f"{bucket.where} takes lifecycle rules and does not keep them; set bucket.expire_days to 0"
            )

    def _keeps_versions(self) -> bool:
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
        # There an expired object is only covered by a marker.
        rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": 1}
    return rule


def _meaning(rule: _Rule) -> tuple[object, ...]:
    """What counts of a rule: stores give it back in more or fewer words."""
    return (
        rule["Status"],
        rule.get("Filter", {}).get("Prefix") or rule.get("Prefix") or "",
        rule.get("Expiration", {}).get("Days"),
        rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
        rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
    )


def _words(days: int) -> str:
    return f"are deleted after {days} days" if days else "are kept"
