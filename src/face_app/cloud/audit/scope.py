"""Define the scope of an audit."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from face_app.cloud.bucket.face_key_parts import HOUR, edge_of, hour_of
from face_app.cloud.bucket.mark_object import MARKS
from face_app.cloud.bucket.tombstone import ERASED, TOMBSTONES
from face_app.common.errors import SettingsError
from face_app.common.ledger_file import LedgerEntry
from face_app.common.wire import NAME

_EARLIEST = datetime.min.replace(tzinfo=timezone.utc)
_LATEST = datetime.max.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Scope:
    """Selects the faces to audit.

    Attributes:
        edge: Name of the only edge in scope; None: all edges. A renamed edge has two names.
        since: Time from which faces are in scope (aware); None: no limit.
        until: Time before which faces are in scope (aware); None: no limit.
        renamed: Present name of each renamed edge, by its former name.
    """

    edge: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def ranged(self) -> bool:
        """Return True if there is a time limit."""
        return self.since is not None or self.until is not None

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Return the key prefixes to list."""
        return (*self._under("", ERASED), TOMBSTONES) if self.edge else ("",)

    @property
    def mark_prefixes(self) -> tuple[str, ...]:
        """Return the prefixes of the marks to read."""
        return self._under(MARKS) if self.edge else (MARKS,)

    def present_name(self, edge: str) -> str:
        """Return the present name of an edge."""
        return self.renamed.get(edge, edge)

    def contains_edge(self, edge: str) -> bool:
        """Return True if an edge is in scope, by its present or a former name."""
        return self.edge in {None, edge, self.present_name(edge)}

    def contains_entry(self, entry: LedgerEntry) -> bool:
        """Return True if a ledger entry is in scope; its time is exact."""
        return self.contains_edge(edge_of(entry.key)) and self._overlaps(entry.captured_at, entry.captured_at)

    def contains_key(self, key: str) -> bool:
        """Return True if a face may be in scope by its key, which contains only the hour."""
        return self.contains_edge(edge_of(key)) and (not self.ranged or self._contains_hour(hour_of(key)))

    def _under(self, *places: str) -> tuple[str, ...]:
        names = [name for name in (self.edge, *self.renamed) if name and self.contains_edge(name)]
        return tuple(f"{place}{name}/" for place in places for name in names)

    def _contains_hour(self, hour: datetime) -> bool:
        return self._overlaps(hour, hour + HOUR - timedelta.resolution)

    def _overlaps(self, first: datetime, last: datetime) -> bool:
        return (self.since is None or last >= self.since) and (self.until is None or first < self.until)

    def may_contain(self, earliest: datetime | None, latest: datetime | None) -> bool:
        """Return True if a face captured between two times may be in scope; None: not limited."""
        return self._overlaps(earliest or _EARLIEST, latest or _LATEST)

    def must_contain(self, earliest: datetime | None, latest: datetime | None) -> bool:
        """Return True if a face captured between two times is in scope; None: not limited."""
        after = self.since is None or (earliest is not None and earliest >= self.since)
        return after and (self.until is None or (latest is not None and latest < self.until))


def scope_between(edge: str | None, since: str | None, until: str | None, renamed: Iterable[str] = ()) -> Scope:
    """Parse a scope from options.

    Args:
        edge: Name of an edge, or None.
        since: ISO 8601, UTC without a zone, or None.
        until: ISO 8601, UTC without a zone, or None.
        renamed: Former and present name of each renamed edge, as ``OLD=NEW``.

    Raises:
        SettingsError: A name or a time is invalid, or `until` is not after `since`.
    """
    if edge is not None and not re.fullmatch(NAME, edge):
        raise SettingsError(f"--edge = {edge!r}: not a valid edge name")
    names = dict(_rename(text) for text in renamed)
    scope = Scope(edge and names.get(edge, edge), _time("--from", since), _time("--to", until), names)
    if scope.since and scope.until and scope.since >= scope.until:
        raise SettingsError(f"--from {since} is not before --to {until}")
    return scope


def _rename(text: str) -> tuple[str, str]:
    former, _, present = text.partition("=")
    if not (re.fullmatch(NAME, former) and re.fullmatch(NAME, present)):
        raise SettingsError(f"--renamed = {text!r}: give the former and the present name as OLD=NEW")
    return former, present


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        # Python 3.10 does not parse the suffix Z.
        at = datetime.fromisoformat(re.sub("Z$", "+00:00", text))
    except ValueError as error:
        raise SettingsError(f"{option} = {text!r}: give a time such as 2026-11-22T18:30:00+00:00") from error
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)
