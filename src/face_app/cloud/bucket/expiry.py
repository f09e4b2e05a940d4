"""Describe when the bucket deletes objects, as its lifecycle rules say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class ExpiryRules:
    """Contains the rules of a bucket.

    Attributes:
        days_by_prefix: Days until the store deletes an object, by the prefix of its key.
        now: Time of the audit (aware).
        unknown: Why the rules cannot be read; empty if they were read.
    """

    days_by_prefix: tuple[tuple[str, int], ...]
    now: datetime
    unknown: str = ""

    def days(self, key: str) -> int | None:
        """Return the days until an object is deleted; None: never."""
        return min((days for prefix, days in self.days_by_prefix if key.startswith(prefix)), default=None)

    def have_deleted(self, key: str, stored_at: datetime) -> bool:
        """Return True if the rules delete an object that was stored at this time or earlier."""
        days = self.days(key)
        return days is not None and self.now - stored_at >= timedelta(days=days)


def days_by_prefix(rules: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, int]]:
    """Yield prefix and days of each rule that deletes all current objects with a prefix.

    A rule with another condition, such as a tag or a size, does not count: a deleted face is then missing.
    """
    for rule in rules:
        days = rule.get("Expiration", {}).get("Days")
        if rule["Status"] != "Enabled" or not days:
            continue
        condition = rule.get("Filter", {})
        condition = condition.get("And", condition)
        if set(condition) <= {"Prefix"}:
            yield condition.get("Prefix") or rule.get("Prefix") or "", days
