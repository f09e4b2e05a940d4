"""Which pictures of a visit are kept: one soon, so that nobody is missed, and a better one only if it clearly is."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from face_app import settings
from face_app.edge import quality
from face_app.edge.crop import cut
from face_app.edge.detectors.detection import Detection
from face_app.edge.image import Image
from face_app.edge.quality import Quality
from face_app.edge.sources.frame import Frame
from face_app.edge.track import End, Sighting
from face_app.edge.visit import Visit

PATIENCE = 3.0
"""Seconds of a visit after which a first shot leaves that is less than acceptable."""
SETTLED = 2.0
"""Seconds that a better shot must have stayed the best: somebody who walks up is better with each step."""

NOTHING: Image = np.empty((0, 0, 3), np.uint8)
"""In the place of a crop that is not needed; an empty view of the frame would hold all of its pixels."""

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


@dataclass
class _Open:
    """A visit that goes on. `waiting` is the best picture since the last one that was kept."""

    first: Candidate
    last: Candidate
    waiting: Candidate | None
    looks: int = 0
    shots: int = 0
    best: float = 0.0
    kept: float = 0.0
    believed: bool = False


class BestShots:
    """Chooses among the pictures of each visit of one camera."""

    def __init__(self, camera: str, shot: settings.Shot, crop: settings.Crop) -> None:
        self._camera = camera
        self._shot = shot
        self._crop = crop
        self._open: dict[int, _Open] = {}

    @property
    def news(self) -> bool:
        """Whether there is a visit of which no picture is kept yet, or a better one waits."""
        return any(self._due_later(visit) for visit in self._open.values())

    def see(self, frame: Frame, sightings: Iterable[Sighting]) -> list[Shot]:
        """Take the faces of one look.

        Returns:
            The shots that are due now.
        """
        for sighting in sightings:
            self._see(frame, sighting)
        return [
            self._keep(track, visit, "better" if visit.shots else "first")
            for track, visit in self._open.items()
            if self._due(visit, frame.elapsed)
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
            if self._worth(visit):
                shots.append(self._keep(end.track, visit, "final" if visit.shots else "first"))
            first, last = visit.first.captured_at, visit.last.captured_at
            visits.append(Visit(self._camera, end.track, first, last, visit.looks, visit.shots, visit.best, visit.kept))
        return shots, visits

    def _see(self, frame: Frame, sighting: Sighting) -> None:
        rated = quality.rate(frame.image, sighting.detection)
        visit = self._open.get(sighting.track)
        size = frame.image.shape[1], frame.image.shape[0]
        better = visit is None or rated.score > (visit.waiting.quality.score if visit.waiting else visit.kept)
        pixels = cut(frame.image, sighting.detection.box, self._crop).copy() if better else NOTHING
        seen = Candidate(pixels, sighting.detection, rated, frame.index, size, frame.captured_at, frame.elapsed)
        if visit is None:
            visit = self._open[sighting.track] = _Open(seen, seen, seen)
        elif better:
            visit.waiting = seen
        visit.last = seen
        visit.looks += 1
        visit.best = max(visit.best, rated.score)
        visit.believed |= sighting.believed

    def _due(self, visit: _Open, elapsed: float) -> bool:
        if not visit.believed or not self._worth(visit) or visit.waiting is None:
            return False
        if visit.shots:
            return elapsed - visit.waiting.elapsed >= SETTLED
        age = elapsed - visit.first.elapsed
        acceptable = visit.waiting.quality.score >= self._shot.acceptable
        return age >= (self._shot.first_within if acceptable else PATIENCE)

    def _due_later(self, visit: _Open) -> bool:
        return not visit.shots or self._worth(visit)

    def _worth(self, visit: _Open) -> bool:
        """Whether what waits is to be kept sooner or later."""
        if visit.waiting is None or visit.shots >= self._shot.most or visit.waiting.quality.score < self._shot.least:
            return False
        return not visit.shots or visit.waiting.quality.score >= visit.kept * (1 + self._shot.better_by)

    def _keep(self, track: int, visit: _Open, why: Reason) -> Shot:
        kept = visit.waiting
        assert kept is not None  # noqa: S101 - `_worth` has looked
        visit.waiting = None
        visit.shots += 1
        visit.kept = max(visit.kept, kept.quality.score)
        return Shot(kept, track, why, visit.looks, visit.first.frame, visit.last.frame)
