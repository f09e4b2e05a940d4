"""Which faces an audit is about."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from face_app.common.errors import SettingsError
from face_app.common.ledger_file import LedgerEntry
from face_app.common.wire import NAME

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Scope:
    """A part of the bucket.

    Attributes:
        edge: Only what is kept under this name; None: all. An edge that was renamed is under two names.
        since: Only faces captured then or later (aware); None: from the first.
        until: Only faces captured before (aware); None: to the last.
    """

    edge: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def ranged(self) -> bool:
        """Whether a time was given."""
        return self.since is not None or self.until is not None

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What to list."""
        return (f"{self.edge}/", f"erased/{self.edge}/") if self.edge else ("",)

    def takes_entry(self, entry: LedgerEntry) -> bool:
        """Whether an entry is of this part: its time is exact."""
        return self._takes_edge(entry.key) and self._takes(entry.captured_at, entry.captured_at)

    def takes_key(self, key: str) -> bool:
        """Whether a face may be of this part by its key alone, which tells the hour."""
        return self._takes_edge(key) and (not self.ranged or self._takes_hour(hour_of(key)))

    def _takes_edge(self, key: str) -> bool:
        return self.edge is None or key.startswith(f"{self.edge}/")

    def _takes_hour(self, hour: datetime) -> bool:
        return self._takes(hour, hour + HOUR - timedelta.resolution)

    def _takes(self, first: datetime, last: datetime) -> bool:
        return (self.since is None or last >= self.since) and (self.until is None or first < self.until)


def hour_of(key: str) -> datetime:
    """The hour (UTC) of capture that stands in the key of a face.

    Raises:
        ValueError: There is no such hour.
    """
    year, month, day, hour = map(int, key.split("/")[2:6])
    return datetime(year, month, day, hour, tzinfo=timezone.utc)


def scope_between(edge: str | None, since: str | None, until: str | None) -> Scope:
    """Read a scope as people write it.

    Args:
        edge: A name, or None.
        since: ISO 8601, in UTC where it has no zone, or None.
        until: The same.

    Raises:
        SettingsError: The name is none, a time is none, or `until` is not after `since`.
    """
    if edge is not None and not re.fullmatch(NAME, edge):
        raise SettingsError(f"--edge = {edge!r}: no edge can have this name")
    scope = Scope(edge, _time("--from", since), _time("--to", until))
    if scope.since and scope.until and scope.since >= scope.until:
        raise SettingsError(f"--from {since} is not before --to {until}")
    return scope


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        # Python 3.10 does not know the Z.
        at = datetime.fromisoformat(re.sub("Z$", "+00:00", text))
    except ValueError as error:
        raise SettingsError(f"{option} = {text!r}: give a time such as 2026-11-22T18:30:00+00:00") from error
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)
