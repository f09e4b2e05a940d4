"""Order faces as a timeline: newest first, by day, the shots of one visit together."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timezone, tzinfo
from typing import Any

from face_app.cloud.gallery.details import DetailReader
from face_app.cloud.gallery.face_key import FaceKey
from face_app.cloud.gallery.index_queries import Cursor, Filter, IndexedFace, IndexQueries

ROUNDS = 4
"""Maximum number of times that metadata is read for one page: each may move faces to earlier times."""


@dataclass(frozen=True)
class Shot:
    """Describes a stored face, which is one shot of its visit, for the pages.

    Attributes:
        key: Its key.
        at: Time of capture, or the latest possible time if its metadata is unknown (aware).
        exact: The time is that of the capture.
        readable: False if its metadata cannot be read.
        visit: Id of its visit; empty if it is unknown.
        metadata: Its metadata as `FaceMetadata` has it, as JSON values; empty if it is unknown.
        cursor: Its place in the timeline.
    """

    key: FaceKey
    at: datetime
    exact: bool
    readable: bool
    visit: str
    metadata: dict[str, Any]
    cursor: Cursor

    @property
    def score(self) -> float:
        """Return the quality of the picture, 0 to 1."""
        return float(self.metadata.get("shot_score", 0.0))


@dataclass(frozen=True)
class Visit:
    """Contains the shots of one visit.

    Attributes:
        shots: The best first.
    """

    shots: tuple[Shot, ...]

    @property
    def best(self) -> Shot:
        """Return the shot of the highest quality."""
        return self.shots[0]

    @property
    def at(self) -> datetime:
        """Return the time of the newest shot."""
        return max(shot.at for shot in self.shots)


@dataclass(frozen=True)
class Day:
    """Contains the visits of one day, newest first."""

    day: date
    visits: tuple[Visit, ...]


@dataclass(frozen=True)
class Page:
    """Contains a part of the timeline.

    Attributes:
        days: Newest first.
        faces: The same faces without grouping, newest first.
        older: Place behind which the next page begins; None at the end.
        complete: False if the bucket did not answer, so that times and visits may be unknown.
    """

    days: tuple[Day, ...]
    faces: tuple[Shot, ...]
    older: Cursor | None
    complete: bool


class Timeline:
    """Makes pages from the index, and reads the metadata they need."""

    def __init__(self, queries: IndexQueries, reader: DetailReader, zone: tzinfo) -> None:
        self._queries = queries
        self._reader = reader
        self._zone = zone

    def page(self, wanted: Filter, limit: int, before: Cursor | None = None) -> Page:
        """Return the faces behind a place in the timeline.

        A face whose metadata was not read is ordered by its latest possible time. So the first `limit` faces are the
        newest as soon as all of them were read.
        """
        complete = True
        for _ in range(ROUNDS):
            found = self._queries.newest(wanted, limit + 1, before)
            unread = [face.key for face in found[:limit] if face.read == 0]
            if not unread:
                break
            complete = self._reader.read(unread)
            if not complete:
                found = self._queries.newest(wanted, limit + 1, before)
                break
        faces = [self.shot(face) for face in found[:limit]]
        older = faces[-1].cursor if len(found) > limit else None
        return Page(tuple(self._days(faces)), tuple(faces), older, complete)

    def face(self, key: FaceKey) -> Shot | None:
        """Return one face; None if neither the index nor the bucket has it."""
        found = self._queries.face(key)
        if found and found.read == 0:
            self._reader.read([key])
            found = self._queries.face(key)
        return self.shot(found) if found else None

    def visit(self, shot: Shot) -> list[Shot]:
        """Return the known shots of the visit of a face, in the order of their capture."""
        # Shots of one visit have neighbouring times. Those around this one are read, so that its visit is complete.
        wanted = Filter(shot.key.edge, shot.key.camera)
        around = self._queries.newest(wanted, 6, shot.cursor) + self._queries.oldest_after(wanted, 6, shot.cursor)
        self._reader.read([face.key for face in around if face.read == 0])
        return [self.shot(face) for face in self._queries.visit(shot.visit)] if shot.visit else [shot]

    def neighbours(self, shot: Shot) -> tuple[Shot | None, Shot | None]:
        """Return the next newer and the next older face over all cameras."""
        newer = self._queries.oldest_after(Filter(), 1, shot.cursor)
        older = self._queries.newest(Filter(), 1, shot.cursor)
        return (self.shot(newer[0]) if newer else None, self.shot(older[0]) if older else None)

    def shot(self, face: IndexedFace) -> Shot:
        """Describe a face of the index for the pages."""
        at = datetime.fromtimestamp(face.cursor.at / 1000, timezone.utc).astimezone(self._zone)
        metadata = json.loads(face.document) if face.document else {}
        return Shot(face.key, at, bool(metadata), face.read != 2, face.visit, metadata, face.cursor)

    def _days(self, faces: Iterable[Shot]) -> Iterable[Day]:
        visits: dict[tuple[date, str], list[Shot]] = {}
        for shot in faces:
            visits.setdefault((shot.at.date(), shot.visit or shot.key.key), []).append(shot)
        days: dict[date, list[Visit]] = {}
        for (day, _), shots in visits.items():
            days.setdefault(day, []).append(Visit(tuple(sorted(shots, key=lambda shot: -shot.score))))
        return [Day(day, tuple(found)) for day, found in days.items()]
