"""Read edge, camera and hour in the key of a face."""

from datetime import datetime, timedelta, timezone

HOUR = timedelta(hours=1)


def edge_of(key: str) -> str:
    """Return the edge in the key of a face."""
    return key.split("/", 1)[0]


def camera_of(key: str) -> str:
    """Return the camera in the key of a face."""
    return key.split("/", 2)[1]


def hour_of(key: str) -> datetime:
    """Return the hour (UTC) of capture in the key of a face.

    Raises:
        ValueError: The key contains no valid hour.
    """
    year, month, day, hour = map(int, key.split("/")[2:6])
    return datetime(year, month, day, hour, tzinfo=timezone.utc)
