"""Define the scope of an audit."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from face_app.common.errors import SettingsError
from face_app.common.ledger_file import LedgerEntry
from face_app.common.wire import NAME

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Scope:
    """Selects the faces to audit.

    Attributes:
        edge: Name of the only edge in scope; None: all edges. A renamed edge has two names.
        since: Time from which faces are in scope (aware); None: no limit.
        until: Time before which faces are in scope (aware); None: no limit.
    """

    edge: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def ranged(self) -> bool:
        """Return True if there is a time limit."""
        return self.since is not None or self.until is not None

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Return the key prefixes to list."""
        return (f"{self.edge}/", f"erased/{self.edge}/") if self.edge else ("",)

    def contains_entry(self, entry: LedgerEntry) -> bool:
        """Return True if a ledger entry is in scope; its time is exact."""
        return self._contains_edge(entry.key) and self._overlaps(entry.captured_at, entry.captured_at)

    def contains_key(self, key: str) -> bool:
        """Return True if a face may be in scope by its key, which contains only the hour."""
        return self._contains_edge(key) and (not self.ranged or self._contains_hour(hour_of(key)))

    def _contains_edge(self, key: str) -> bool:
        return self.edge is None or key.startswith(f"{self.edge}/")

    def _contains_hour(self, hour: datetime) -> bool:
        return self._overlaps(hour, hour + HOUR - timedelta.resolution)

    def _overlaps(self, first: datetime, last: datetime) -> bool:
        return (self.since is None or last >= self.since) and (self.until is None or first < self.until)


def hour_of(key: str) -> datetime:
    """Return the hour (UTC) of capture in the key of a face.

    Raises:
        ValueError: The key contains no valid hour.
    """
    year, month, day, hour = map(int, key.split("/")[2:6])
    return datetime(year, month, day, hour, tzinfo=timezone.utc)


def scope_between(edge: str | None, since: str | None, until: str | None) -> Scope:
    """Parse a scope from options.

    Args:
        edge: Name of an edge, or None.
        since: ISO 8601, UTC without a zone, or None.
        until: ISO 8601, UTC without a zone, or None.

    Raises:
        SettingsError: The name or a time is invalid, or `until` is not after `since`.
    """
    if edge is not None and not re.fullmatch(NAME, edge):
        raise SettingsError(f"--edge = {edge!r}: not a valid edge name")
    scope = Scope(edge, _time("--from", since), _time("--to", until))
    if scope.since and scope.until and scope.since >= scope.until:
        raise SettingsError(f"--from {since} is not before --to {until}")
    return scope


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        # Python 3.10 does not parse the suffix Z.
        at = datetime.fromisoformat(re.sub("Z$", "+00:00", text))
    except ValueError as error:
        raise SettingsError(f"{option} = {text!r}: give a time such as 2026-11-22T18:30:00+00:00") from error
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)
