"""Select the shots of each visit: one soon, so that no visit is missed, and later ones only if clearly better."""

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
from face_app.edge.vision.tracker import EndedTrack, TrackedFace

MAX_FIRST_SHOT_WAIT = 3.0
"""Seconds of a visit after which its first shot is sent even if it is not acceptable."""
STABLE_SECONDS = 2.0
"""Seconds for which a better picture must stay the best: the pictures of an approaching person improve at each step."""

Reason = Literal["first", "better", "final"]


@dataclass(frozen=True, eq=False)
class Candidate:
    """Describes a picture that may become a shot.

    Attributes:
        image: A copy of the crop, h x w x 3, BGR.
        detection: The face, in pixels of the frame.
        quality: Score of the picture.
        frame: Index of its frame.
        frame_size: Width and height of the frame, pixels.
        captured_at: Capture time of the frame (aware).
        elapsed: Capture time of the frame on the source's clock, seconds.
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
    """Describes a selected picture.

    Attributes:
        candidate: The picture.
        track: Number of the visit.
        why: ``first`` of its visit; ``better`` than the shot before by the margin; ``final``: the same, at the end.
        chosen_from: Number of detections of this face so far.
        first_frame: Index of the frame in which the visit began.
        last_frame: Index of the frame with the latest detection.
    """

    candidate: Candidate
    track: int
    why: Reason
    chosen_from: int
    first_frame: int
    last_frame: int


@dataclass(frozen=True)
class _FrameTime:
    """Identifies a frame by index, wall time, and seconds on the source's clock."""

    frame: int
    at: datetime
    elapsed: float


@dataclass
class _OpenVisit:
    """Tracks the state of a visit that has not ended.

    Attributes:
        pending: Best picture that is good enough for a shot and has not been selected yet.
        confirmed: True if the track is a real face.
        detections: Number of detections so far.
        shots: Number of shots so far.
        best: Best quality so far.
        last_score: Quality of the latest shot.
    """

    first: _FrameTime
    last: _FrameTime
    pending: Candidate | None = None
    confirmed: bool = False
    detections: int = 0
    shots: int = 0
    best: float = 0.0
    last_score: float = 0.0


class BestShots:
    """Selects the shots of all visits of one camera."""

    def __init__(self, camera: str, shot: settings.Shot, crop: settings.Crop) -> None:
        self._camera = camera
        self._shot = shot
        self._crop = crop
        self._visits: dict[int, _OpenVisit] = {}

    def has_pending(self, elapsed: float) -> bool:
        """Return whether a visit needs more frames: it is new and has no shot, or it has a pending picture.

        Args:
            elapsed: Seconds on the source's clock.
        """
        return any(
            visit.pending or (not visit.shots and elapsed - visit.first.elapsed <= MAX_FIRST_SHOT_WAIT)
            for visit in self._visits.values()
        )

    def update(self, frame: Frame, faces: Iterable[TrackedFace]) -> list[Shot]:
        """Add the faces of one frame.

        Args:
            frame: Whole frame; only copies of crops are retained.
            faces: Faces of the frame, with their tracks.

        Returns:
            The shots that are due now.
        """
        now = _FrameTime(frame.index, frame.captured_at, frame.elapsed)
        for face in faces:
            visit = self._visits.setdefault(face.track, _OpenVisit(now, now))
            visit.last = now
            visit.detections += 1
            visit.confirmed = visit.confirmed or face.confirmed
            self._assess(frame, face, visit)
        return [
            self._select(track, visit, visit.pending, "better" if visit.shots else "first")
            for track, visit in self._visits.items()
            if visit.pending and visit.confirmed and self._is_due(visit, visit.pending, frame.elapsed)
        ]

    def finish_visits(self, tracks: Iterable[EndedTrack]) -> tuple[list[Shot], list[Visit]]:
        """End the visits of tracks that have ended.

        Args:
            tracks: Ended tracks. A track that was never confirmed yields neither shot nor visit.

        Returns:
            Their pending pictures as shots, and the ended visits.
        """
        shots: list[Shot] = []
        visits: list[Visit] = []
        for ended in tracks:
            visit = self._visits.pop(ended.track)
            if not ended.confirmed:
                continue
            if visit.pending:
                shots.append(self._select(ended.track, visit, visit.pending, "final" if visit.shots else "first"))
            times = visit.first.at, visit.last.at
            visits.append(Visit(self._camera, ended.track, *times, visit.detections, visit.shots, visit.best))
        return shots, visits

    def _assess(self, frame: Frame, face: TrackedFace, visit: _OpenVisit) -> None:
        """Make the face the pending picture of its visit, if it is better than all pictures before."""
        if visit.shots >= self._shot.most:
            return
        assessed = quality.assess(frame.image, face.detection, self._score_to_exceed(visit))
        if not assessed:
            return
        visit.best = max(visit.best, assessed.score)
        if assessed.score < self._shot.least:
            return
        crop = cut(frame.image, face.detection.box, self._crop)
        size = frame.image.shape[1], frame.image.shape[0]
        visit.pending = Candidate(crop, face.detection, assessed, frame.index, size, frame.captured_at, frame.elapsed)

    def _score_to_exceed(self, visit: _OpenVisit) -> float:
        """Return the quality that the next candidate of a visit must exceed."""
        if visit.pending:
            return visit.pending.quality.score
        return visit.last_score + self._shot.better_by if visit.shots else visit.best

    def _is_due(self, visit: _OpenVisit, pending: Candidate, elapsed: float) -> bool:
        if visit.shots:
            return elapsed - pending.elapsed >= STABLE_SECONDS
        acceptable = pending.quality.score >= self._shot.acceptable
        wait = self._shot.first_within if acceptable else MAX_FIRST_SHOT_WAIT
        return elapsed - visit.first.elapsed >= wait

    @staticmethod
    def _select(track: int, visit: _OpenVisit, pending: Candidate, why: Reason) -> Shot:
        visit.pending = None
        visit.shots += 1
        visit.last_score = pending.quality.score
        return Shot(pending, track, why, visit.detections, visit.first.frame, visit.last.frame)
