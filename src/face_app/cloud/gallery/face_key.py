"""Split the key of a face into what the index stores, and join it again."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from face_app.common.wire import FaceId, face_of_key

HOUR_MS = 3_600_000
"""Milliseconds of an hour."""


Folder = tuple[str, str, int]
"""Edge, camera and hour of a face: what the first levels of its key say."""


@dataclass(frozen=True, slots=True)
class FaceKey:
    """Contains the parts of the key of a face.

    Attributes:
        edge: Name of the edge.
        camera: Name of the camera.
        hour: Hour of capture, hours since 1970 (UTC).
        name: Last level of the key.
        face: Id of the face.
    """

    edge: str
    camera: str
    hour: int
    name: str
    face: FaceId

    @property
    def folder(self) -> Folder:
        """Return edge, camera and hour."""
        return self.edge, self.camera, self.hour

    @property
    def key(self) -> str:
        """Return the whole key."""
        return key_of(self.edge, self.camera, self.hour, self.name)


def key_of(edge: str, camera: str, hour: int, name: str) -> str:
    """Join the parts of a key."""
    return f"{edge}/{camera}/{_hour_path(hour)}/{name}"


def parse_key(key: str) -> FaceKey | None:
    """Split the key of a face; None for any other key, and for an hour that does not exist."""
    face = face_of_key(key)
    if face is None:
        return None
    edge, camera, rest = key.split("/", 2)
    path, name = rest.rsplit("/", 1)
    hour = _hour_of_path(path)
    return None if hour is None else FaceKey(edge, camera, hour, name, face)


# One folder contains many faces.
@lru_cache(maxsize=1024)
def _hour_of_path(path: str) -> int | None:
    try:
        at = datetime.strptime(path, "%Y/%m/%d/%H").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return int(at.timestamp() // 3600)


@lru_cache(maxsize=1024)
def _hour_path(hour: int) -> str:
    at = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(hours=hour)
    return f"{at.year:04}/{at.month:02}/{at.day:02}/{at.hour:02}"  # strftime writes the year 1 as 1
