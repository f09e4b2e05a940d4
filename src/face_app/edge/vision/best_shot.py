"""Select the shots of each visit: one soon, later ones only if clearly better, and at least one at its end."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from face_app.common import settings
from face_app.edge.image import Box, Image, centre
from face_app.edge.outbox.records import Visit
from face_app.edge.sources.frame import Frame
from face_app.edge.vision import quality
from face_app.edge.vision.crop import crop_face
from face_app.edge.vision.detectors.detection import Detection
from face_app.edge.vision.face_mesh import FaceMesh, MeshResult
from face_app.edge.vision.quality import Quality
from face_app.edge.vision.still_place import StillPlace
from face_app.edge.vision.tracker import EndedTrack, TrackedFace

MAX_FIRST_SHOT_WAIT = 3.0
"""Seconds of a visit after which its first shot is sent even if it is not acceptable."""
MAX_SHUT_WAIT = 10.0
"""Seconds of a visit for which its first shot waits for open eyes."""
FIRST_SHOT_EYES = 0.93
"""Minimum term for the eyes of a first shot that does not wait: between those of most shut and of most open eyes."""
MAX_POOR_WAIT = 60.0
"""Seconds of a visit after which even a poor picture is sent. A power cut must not cost the face of a long visit."""
STABLE_SECONDS = 2.0
"""Seconds for which a better picture must stay the best: the pictures of an approaching person improve at each step."""
FIRST_CHECKS = 4
"""Number of checks that a visit may have at its start. Each costs as much as a detection at 320 x 192."""
CHECKS_PER_SECOND = 4.0
"""Number of checks that a visit may have per second."""
DISMISSED_CHECKS_PER_SECOND = 0.5
"""Number of checks per second for a visit that is dismissed so far: a poster stays all day."""
CHECKS_PER_FRAME = 2
"""Number of checks in one frame: a crowd must not stop the camera."""
UNCHECKED = MeshResult(0.0, 0.0)
"""Measurements that are assumed of a picture that was not checked: any checked one is better."""
DISMISSAL_CHECKS = 3
"""Minimum number of checks on which a dismissal rests."""
MAX_DISMISSED_PRESENCE = 0.25
"""Maximum mean presence of a face in the checks of a dismissed visit. Hair, chairs and packs stay below it; so do many
profiles, and some masked, dark or small faces. So a dismissal also needs the next limits."""
MAX_DISMISSED_SCORE = 0.88
"""Maximum confidence of the detector in a dismissed visit. Most objects stay below 0.85, most profiles exceed it."""
MIN_DISMISSED_WIDTH = 24.0
"""Minimum width of the box of a dismissed visit, pixels. The mesh misses many smaller faces, above all against the
light."""
MIN_DISMISSED_SECONDS = 1.5
"""Minimum seconds from the first to the last detection of a dismissed visit: in a moment, people do not move either."""
MAX_DISMISSED_MOVEMENT = 0.1
"""Maximum movement of a dismissed visit, in widths of its box. Objects do not move, and people seldom sit so still."""
MIN_STILL_SECONDS = 5.0
"""Minimum seconds of a visit that is dismissed because its place did not change: people seldom sit still for longer."""
MIN_STILL_CORRELATION = 0.8
"""Minimum correlation of all pictures of a place that did not change. Packs on a shelf, whose boxes vary and which the
mesh takes for a face now and then, have 0.83 and 0.92; persons as unsure, in visits as long, 0.47 at most."""

Reason = Literal["first", "better", "final", "only"]
NO_FACE = "no-face"
"""Reason for which a visit is dismissed: it did not move and its checks showed hardly a face, or its place did not
change."""
NO_DETAIL = "no-detail"
"""Reason for which a visit is dismissed: its best picture is nearly black, white or of one grey."""


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
        why: ``first`` of its visit; ``better`` than the shot before by the factor; ``final``: the same, at the end;
            ``only``: the best picture of a visit without a good one.
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
        pending: Best picture that may become a shot and has not been selected yet.
        confirmed: True if the track is a real face.
        detections: Number of detections so far.
        shots: Number of shots so far.
        best: Best quality so far.
        last_score: Quality of the latest shot.
        checks: Number of pictures that the face mesh has checked.
        presence: Sum of the presence of a face in these.
        max_presence: Highest of these.
        score: Highest confidence of the detector.
        reach: x1, y1, x2, y2 around all centres of the face, pixels.
        width: Smallest width of the face, pixels.
        place: The place of the first detection.
    """

    first: _FrameTime
    last: _FrameTime
    place: StillPlace
    pending: Candidate | None = None
    confirmed: bool = False
    detections: int = 0
    shots: int = 0
    best: float = 0.0
    last_score: float = 0.0
    checks: int = 0
    presence: float = 0.0
    max_presence: float = 0.0
    score: float = 0.0
    reach: Box = (math.inf, math.inf, -math.inf, -math.inf)
    width: float = math.inf

    def add(self, now: _FrameTime, face: TrackedFace, image: Image) -> None:
        """Count a detection.

        Args:
            now: Time of the frame.
            face: The detection.
            image: Whole frame, H x W x 3, BGR.
        """
        x1, _, x2, _ = face.detection.box
        x, y = centre(face.detection.box)
        left, top, right, bottom = self.reach
        self.reach = min(left, x), min(top, y), max(right, x), max(bottom, y)
        self.width = min(self.width, x2 - x1)
        self.score = max(self.score, face.detection.score)
        self.last = now
        self.detections += 1
        self.confirmed = self.confirmed or face.confirmed
        if self.score <= MAX_DISMISSED_SCORE and not self.shots:
            self.place.compare(image)

    def join(self, other: "_OpenVisit") -> None:
        """Add the counts and measurements of another visit; the times remain, because this one is seen now."""
        self.detections += other.detections
        self.best = max(self.best, other.best)
        self.checks += other.checks
        self.presence += other.presence
        self.max_presence = max(self.max_presence, other.max_presence)
        self.score = max(self.score, other.score)
        left, top, right, bottom = zip(self.reach, other.reach, strict=True)
        self.reach = min(left), min(top), max(right), max(bottom)
        self.width = min(self.width, other.width)
        self.place.correlation = min(self.place.correlation, other.place.correlation)

    @property
    def suspect(self) -> bool:
        """Whether no check has shown a face so far."""
        return self.checks > 0 and self.max_presence <= MAX_DISMISSED_PRESENCE

    @property
    def dismissed(self) -> bool:
        """Whether this is an object and no face, as far as it is known."""
        seconds = self.last.elapsed - self.first.elapsed
        is_object = seconds >= MIN_DISMISSED_SECONDS and self.checks >= DISMISSAL_CHECKS and self.may_be_dismissed
        is_still = seconds >= MIN_STILL_SECONDS and self.place.correlation >= MIN_STILL_CORRELATION
        return is_object or (is_still and self._is_unsure)

    @property
    def may_be_dismissed(self) -> bool:
        """Whether further checks may dismiss the visit."""
        left, top, right, bottom = self.reach
        moved = max(right - left, bottom - top) > MAX_DISMISSED_MOVEMENT * self.width
        doubtful = self.presence <= MAX_DISMISSED_PRESENCE * self.checks
        return self._is_unsure and doubtful and not moved

    @property
    def _is_unsure(self) -> bool:
        """Whether a check was made, the detector was never confident, and no picture was good enough for a shot."""
        return (
            self.checks > 0
            and not self.shots
            and self.score <= MAX_DISMISSED_SCORE
            and self.width >= MIN_DISMISSED_WIDTH
        )


class BestShots:
    """Selects the shots of all visits of one camera."""

    def __init__(self, camera: str, shot: settings.Shot, crop: settings.Crop, mesh: FaceMesh | None = None) -> None:
        """Start without visits.

        Args:
            camera: Name of the camera.
            shot: Thresholds.
            crop: Margin and size of the crops.
            mesh: Checks the pictures that may become shots; None: no checks.
        """
        self._camera = camera
        self._shot = shot
        self._crop = crop
        self._mesh = mesh
        self._visits: dict[int, _OpenVisit] = {}
        self._checks = 0

    def has_pending(self, elapsed: float) -> bool:
        """Return whether a visit needs more frames: it is new and has no shot, or it has a pending picture.

        Args:
            elapsed: Seconds on the source's clock.
        """
        return any(self._needs_frames(visit, elapsed) for visit in self._visits.values())

    def _needs_frames(self, visit: _OpenVisit, elapsed: float) -> bool:
        if not visit.shots and elapsed - visit.first.elapsed <= MAX_FIRST_SHOT_WAIT:
            return True
        return visit.pending is not None and not visit.dismissed and not self._is_poor(visit, visit.pending)

    def update(self, frame: Frame, faces: Iterable[TrackedFace]) -> list[Shot]:
        """Add the faces of one frame.

        Args:
            frame: Whole frame; only copies of crops are retained.
            faces: Faces of the frame, with their tracks.

        Returns:
            The shots that are due now.
        """
        now = _FrameTime(frame.index, frame.captured_at, frame.elapsed)
        faces = list(faces)
        self._checks = 0
        for face in faces:
            if not (visit := self._visits.get(face.track)):
                visit = _OpenVisit(now, now, StillPlace(frame.image, face.detection.box))
                self._visits[face.track] = visit
            visit.add(now, face, frame.image)
            self._assess(frame, face.detection, [other.detection for other in faces if other is not face], visit)
        return [
            self._select(track, visit, visit.pending, "better" if visit.shots else "first")
            for track, visit in self._visits.items()
            if visit.pending and visit.confirmed and self._is_due(visit, visit.pending, frame.elapsed)
        ]

    def finish_visits(self, tracks: Iterable[EndedTrack]) -> tuple[list[Shot], list[Visit]]:
        """End the visits of tracks that have ended.

        Args:
            tracks: Ended tracks. A track that was never confirmed yields neither shot nor visit; if it was joined with
                another, its counts and its picture go to the visit of that one.

        Returns:
            Their pending pictures as shots, and the ended visits. A visit without a shot has a reason.
        """
        shots: list[Shot] = []
        visits: list[Visit] = []
        for ended in tracks:
            visit = self._visits.pop(ended.track)
            if ended.joined is not None:
                self._join(self._visits[ended.joined], visit)
            if not ended.confirmed:
                continue
            dismissed = "" if visit.shots else self._reason_to_dismiss(visit)
            if visit.pending and not dismissed:
                why: Reason = "final" if visit.shots else "only" if self._is_poor(visit, visit.pending) else "first"
                shots.append(self._select(ended.track, visit, visit.pending, why))
            times = visit.first.at, visit.last.at
            visits.append(
                Visit(self._camera, ended.track, *times, visit.detections, visit.shots, visit.best, dismissed)
            )
        return shots, visits

    def _join(self, visit: _OpenVisit, other: _OpenVisit) -> None:
        """Add a visit of the same face, which has no shot, to an open one."""
        pending = other.pending
        if pending and visit.shots < self._shot.most and pending.quality.score > self._score_to_exceed(visit):
            visit.pending = pending
        visit.join(other)

    def _assess(self, frame: Frame, face: Detection, others: Iterable[Detection], visit: _OpenVisit) -> None:
        """Make the face the pending picture of its visit, if it is better than all pictures before."""
        if visit.shots >= self._shot.most:
            return
        exceeds = self._score_to_exceed(visit)
        # A visit that may be dismissed needs more checks than its best pictures.
        assessed = quality.assess(frame.image, face, -1.0 if visit.may_be_dismissed else exceeds, others)
        if assessed and self._mesh and face.landmarks:
            assessed = self._check(self._mesh, frame, face, assessed, visit)
        if not assessed or assessed.score <= exceeds:
            return
        visit.best = max(visit.best, assessed.score)
        crop = crop_face(frame.image, face.box, self._crop)
        size = frame.image.shape[1], frame.image.shape[0]
        visit.pending = Candidate(crop, face, assessed, frame.index, size, frame.captured_at, frame.elapsed)

    def _check(
        self, mesh: FaceMesh, frame: Frame, face: Detection, assessed: Quality, visit: _OpenVisit
    ) -> Quality | None:
        """Add the measurements of the face mesh.

        Returns:
            None if the visit or the frame has used up its checks. A visit without any picture gets an unchecked one.
        """
        width = face.box[2] - face.box[0]
        rate = DISMISSED_CHECKS_PER_SECOND if visit.dismissed else CHECKS_PER_SECOND
        allowed = FIRST_CHECKS + rate * (frame.elapsed - visit.first.elapsed)
        if visit.checks >= allowed or self._checks >= CHECKS_PER_FRAME:
            return None if visit.pending or visit.shots else quality.add_mesh(assessed, UNCHECKED, width)
        self._checks += 1
        visit.checks += 1
        result = mesh.check(frame.image, face)
        visit.presence += result.presence
        visit.max_presence = max(visit.max_presence, result.presence)
        return quality.add_mesh(assessed, result, width)

    def _score_to_exceed(self, visit: _OpenVisit) -> float:
        """Return the quality that the next candidate of a visit must exceed."""
        if visit.pending:
            return visit.pending.quality.score
        return visit.last_score * self._shot.better_factor

    @staticmethod
    def _reason_to_dismiss(visit: _OpenVisit) -> str:
        """Return why an ended visit without a shot gets none; empty if its pending picture is a shot."""
        if visit.dismissed:
            return NO_FACE
        return NO_DETAIL if visit.pending and not quality.has_detail(visit.pending.quality) else ""

    def _is_poor(self, visit: _OpenVisit, pending: Candidate) -> bool:
        """Return whether a picture may become a shot only after `MAX_POOR_WAIT`, or at the end of its visit."""
        return visit.suspect or pending.quality.score < self._shot.least or not quality.has_detail(pending.quality)

    def _is_due(self, visit: _OpenVisit, pending: Candidate, elapsed: float) -> bool:
        if visit.shots:
            return elapsed - pending.elapsed >= STABLE_SECONDS
        if self._is_poor(visit, pending):
            wait = MAX_POOR_WAIT if quality.has_detail(pending.quality) else math.inf
        elif pending.quality.terms.get("eyes", 1.0) < FIRST_SHOT_EYES:
            wait = MAX_SHUT_WAIT
        elif pending.quality.score < self._shot.acceptable:
            wait = MAX_FIRST_SHOT_WAIT
        else:
            wait = self._shot.first_within
        return not visit.dismissed and elapsed - visit.first.elapsed >= wait

    @staticmethod
    def _select(track: int, visit: _OpenVisit, pending: Candidate, why: Reason) -> Shot:
        visit.pending = None
        visit.shots += 1
        visit.last_score = pending.quality.score
        return Shot(pending, track, why, visit.detections, visit.first.frame, visit.last.frame)
