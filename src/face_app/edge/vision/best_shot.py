"""Which pictures of a visit are kept: one soon, so that nobody is missed, and a better one only if it clearly is."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from face_app.common import settings
from face_app.edge.image import Image
from face_app.edge.outbox.records import Visit
from face_app.edge.sources.frame import Frame
from face_app.edge.vision import quality
from face_app.edge.vision.crop import cut
from face_app.edge.vision.detectors.detection import Detection
from face_app.edge.vision.quality import Quality
from face_app.edge.vision.tracker import End, Sighting

PATIENCE = 3.0
"""Seconds of a visit after which a first shot leaves that is less than acceptable."""
SETTLED = 2.0
"""Seconds that a better shot must have stayed the best: somebody who walks up is better with each step."""

Reason = Literal["first", "better", "final"]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A picture of a face that may be kept.

    Attributes:
        image: The crop, h x w x 3, BGR; its own copy.
        detection: Where the face was.
        quality: How good the picture is.
        frame: Index of its frame.
        frame_size: Width and height of the frame, pixels.
        captured_at: When the frame was taken (aware).
        elapsed: The same on the source's clock, seconds.
    """

    image: Image
    detection: Detection
    quality: Quality
    frame: int
    frame_size: tuple[int, int]
    captured_at: datetime
    elapsed: float


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture that is kept.

    Attributes:
        candidate: The picture.
        track: Number of the visit.
        why: ``first`` of its visit; ``better`` by the margin than those before; ``final``: so too, at the visit's end.
        chosen_from: Looks at this face until now, of which it is the best since the shot before.
        first_frame: Index of the frame in which the visit began.
        last_frame: Index of the frame of the latest look.
    """

    candidate: Candidate
    track: int
    why: Reason
    chosen_from: int
    first_frame: int
    last_frame: int


@dataclass(frozen=True)
class _Moment:
    """When a frame was taken: its index, wall time, and seconds on the source's clock."""

    frame: int
    at: datetime
    elapsed: float


@dataclass
class _Open:
    """A visit that goes on. `waiting` is a picture that is worth keeping, and the best of those."""

    first: _Moment
    last: _Moment
    waiting: Candidate | None = None
    believed: bool = False
    looks: int = 0
    shots: int = 0
    best: float = 0.0
    kept: float = 0.0


class BestShots:
    """Chooses among the pictures of each visit of one camera."""

    def __init__(self, camera: str, shot: settings.Shot, crop: settings.Crop) -> None:
        self._camera = camera
        self._shot = shot
        self._crop = crop
        self._open: dict[int, _Open] = {}

    def news(self, elapsed: float) -> bool:
        """Whether there is a new visit of which no picture is kept yet, or one in which a picture waits."""
        return any(
            visit.waiting or (not visit.shots and elapsed - visit.first.elapsed <= PATIENCE)
            for visit in self._open.values()
        )

    def see(self, frame: Frame, sightings: Iterable[Sighting]) -> list[Shot]:
        """Take the faces of one look.

        Returns:
            The shots that are due now.
        """
        now = _Moment(frame.index, frame.captured_at, frame.elapsed)
        for sighting in sightings:
            visit = self._open.setdefault(sighting.track, _Open(now, now))
            visit.last, visit.looks = now, visit.looks + 1
            visit.believed |= sighting.believed
            self._rate(frame, sighting, visit)
        return [
            self._keep(track, visit, visit.waiting, "better" if visit.shots else "first")
            for track, visit in self._open.items()
            if visit.waiting and visit.believed and self._due(visit, visit.waiting, frame.elapsed)
        ]

    def end(self, ends: Iterable[End]) -> tuple[list[Shot], list[Visit]]:
        """Take the tracks that are over.

        Returns:
            Their last shots, where there is one worth it, and the last word on each. Of a track that was nobody: none.
        """
        shots, visits = [], []
        for end in ends:
            visit = self._open.pop(end.track)
            if not end.believed:
                continue
            if visit.waiting:
                shots.append(self._keep(end.track, visit, visit.waiting, "final" if visit.shots else "first"))
            times = visit.first.at, visit.last.at
            visits.append(Visit(self._camera, end.track, *times, visit.looks, visit.shots, visit.best))
        return shots, visits

    def _rate(self, frame: Frame, sighting: Sighting, visit: _Open) -> None:
        if visit.shots >= self._shot.most:
            return
        rated = quality.rate(frame.image, sighting.detection, self._to_beat(visit))
        if not rated:
            return
        visit.best = max(visit.best, rated.score)
        if rated.score < self._shot.least:
            return
        pixels = cut(frame.image, sighting.detection.box, self._crop)
        size = frame.image.shape[1], frame.image.shape[0]
        visit.waiting = Candidate(
            pixels, sighting.detection, rated, frame.index, size, frame.captured_at, frame.elapsed
        )

    def _to_beat(self, visit: _Open) -> float:
        """The quality that a picture must have more than to be worth keeping."""
        if visit.waiting:
            return visit.waiting.quality.score
        return visit.kept + self._shot.better_by if visit.shots else visit.best

    def _due(self, visit: _Open, waiting: Candidate, elapsed: float) -> bool:
        if visit.shots:
            return elapsed - waiting.elapsed >= SETTLED
        acceptable = waiting.quality.score >= self._shot.acceptable
        return elapsed - visit.first.elapsed >= (self._shot.first_within if acceptable else PATIENCE)

    @staticmethod
    def _keep(track: int, visit: _Open, kept: Candidate, why: Reason) -> Shot:
        visit.waiting = None
        visit.shots += 1
        visit.kept = kept.quality.score
        return Shot(kept, track, why, visit.looks, visit.first.frame, visit.last.frame)
