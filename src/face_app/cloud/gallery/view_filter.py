"""Read the filter of a page from its address, and write it there."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from urllib.parse import urlencode

from face_app.cloud.gallery.index_queries import Cursor, Filter
from face_app.common.errors import SettingsError
from face_app.common.wire import NAME

FIRST_YEAR, LAST_YEAR = 1970, 9000
"""Years between which times can be computed in every zone."""


@dataclass(frozen=True)
class View:
    """Describes what the address of a page asks for.

    Attributes:
        wanted: Which faces.
        before: Only faces behind this place; None: from the newest.
    """

    wanted: Filter
    before: Cursor | None = None


def parse_view(query: Mapping[str, str], zone: tzinfo) -> View:
    """Read a view from the parameters of an address: ``edge``, ``camera``, ``from``, ``to``, ``before``.

    Raises:
        SettingsError: A parameter is invalid; the message names it.
    """
    names = {}
    for parameter in ("edge", "camera"):
        names[parameter] = query.get(parameter, "")
        if names[parameter] and not re.fullmatch(NAME, names[parameter]):
            raise SettingsError(f"{parameter}: not a valid name")
    since = _hour("from", query.get("from", ""), zone, math.floor)
    until = _hour("to", query.get("to", ""), zone, math.ceil)
    if since is not None and until is not None and since >= until:
        raise SettingsError("to: must be later than from")
    before = None
    if query.get("before"):
        before = Cursor.parse(query["before"])
        if before is None:
            raise SettingsError("before: not a place in the timeline")
    return View(Filter(names["edge"], names["camera"], since, until), before)


def _hour(parameter: str, text: str, zone: tzinfo, rounded: Callable[[float], int]) -> int | None:
    """Parse a local time as hours since 1970 (UTC), rounded to whole hours; None if it is empty."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        if not FIRST_YEAR < at.year < LAST_YEAR:
            raise ValueError(at.year)
    except ValueError as error:
        raise SettingsError(f"{parameter}: give a time such as 2026-11-22T18:00") from error
    return rounded((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp() / 3600)


def encode_view(wanted: Filter, zone: tzinfo, before: Cursor | None = None) -> str:
    """Return the parameters of an address that select the same faces."""
    values = {
        "edge": wanted.edge,
        "camera": wanted.camera,
        "from": local_time(wanted.since, zone),
        "to": local_time(wanted.until, zone),
        "before": str(before or ""),
    }
    return urlencode({name: value for name, value in values.items() if value}, safe=":")


def local_time(hour: int | None, zone: tzinfo) -> str:
    """Return an hour as a form shows it; empty for None."""
    if hour is None:
        return ""
    return datetime.fromtimestamp(hour * 3600, timezone.utc).astimezone(zone).strftime("%Y-%m-%dT%H:%M")
