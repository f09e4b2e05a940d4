"""Compute the bars of the chart of activity."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone, tzinfo
from itertools import pairwise

from face_app.cloud.gallery.index_queries import Filter, IndexQueries

DEFAULT_HOURS = 48
"""Hours that the chart shows where no filter limits the time."""
MOST_HOURS = 96
"""Longest time that is shown by hours; a longer one is shown by days."""
MOST_DAYS = 120
"""Maximum number of days."""


@dataclass(frozen=True)
class Bar:
    """Describes the faces of one hour or one day.

    Attributes:
        start: Its beginning (aware, in the zone of the pages).
        wanted: Filter that selects its faces.
        faces: How many.
        height: Height of the bar, 0 to 1.
    """

    start: datetime
    wanted: Filter
    faces: int
    height: float


@dataclass(frozen=True)
class Chart:
    """Contains the bars, the oldest first.

    Attributes:
        unit: ``hour`` or ``day``.
        bars: One for each.
        most: Number of faces of the highest bar.
    """

    unit: str
    bars: tuple[Bar, ...]
    most: int


def make_chart(queries: IndexQueries, wanted: Filter, newest: datetime, zone: tzinfo) -> Chart:
    """Count the faces of a filter by hour, or by day where it selects a long time.

    Args:
        queries: The index.
        wanted: Which faces.
        newest: Time of the newest face, the end of the chart where the filter has none.
        zone: Time zone of the pages.
    """
    until = wanted.until if wanted.until is not None else int(newest.timestamp() // 3600) + 1
    since = wanted.since if wanted.since is not None else until - DEFAULT_HOURS
    since, until = min(since, until), max(since, until)
    by_hours = until - since <= MOST_HOURS
    if not by_hours:
        since = max(since, until - MOST_DAYS * 24)
    counts = queries.hours(replace(wanted, since=since, until=until))
    edges = list(range(since, until + 1)) if by_hours else _days(since, until, zone)
    totals = [sum(counts.get(hour, 0) for hour in range(*span)) for span in pairwise(edges)]
    most = max(totals, default=0)
    bars = [
        Bar(
            datetime.fromtimestamp(first * 3600, timezone.utc).astimezone(zone),
            replace(wanted, since=first, until=last),
            total,
            total / most if most else 0.0,
        )
        for (first, last), total in zip(pairwise(edges), totals, strict=True)
    ]
    return Chart("hour" if by_hours else "day", tuple(bars), most)


def _days(since: int, until: int, zone: tzinfo) -> list[int]:
    """Return the hours at which days begin in a zone, with both ends."""
    edges = [since]
    day = datetime.fromtimestamp(since * 3600, timezone.utc).astimezone(zone).date()
    while True:
        day += timedelta(days=1)
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        hour = int(midnight.timestamp() // 3600)
        if hour >= until:
            return [*edges, until]
        if hour > edges[-1]:
            edges.append(hour)
