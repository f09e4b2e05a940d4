"""Join the detections of one camera into tracks: one track is one face over time.

Two score thresholds, after ByteTrack (Zhang et al., 2022): a confident detection may start a track, a less confident
detection can only continue one. So a face that turns away does not lose its track, and a pattern on a poster never
starts one.

A confirmed track that is lost for longer waits for a face that is plausible by position, size, motion and the colours
of head and clothes. So an occlusion or a pan does not begin a second visit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from face_app.edge.image import Box, Image, centre, overlap
from face_app.edge.vision.appearance import Appearance, blend, describe, similarity
from face_app.edge.vision.detectors.detection import Detection
from face_app.edge.vision.face_mesh import FaceMesh

MIN_SIMILARITY = 0.25
"""Minimum similarity of a detection and a track. Higher splits fast faces into more tracks, lower joins neighbours."""
MAX_LOST_SECONDS = 1.5
"""Seconds without a match after which a track ends, or waits for `_rejoin`. Longer bridges longer occlusions, but also
joins two people who pass the same spot."""
MAX_LOST_STEPS = 2.5
"""The same limit as a multiple of the step between two updates: some cameras give one frame in two seconds. The larger
limit applies."""
MIN_HITS = 3
"""Minimum number of detections that confirm a track. Two suffice at its end, if they were in successive updates."""
SEARCH_RADIUS = 1.5
"""Distance from the predicted position, in widths of the face, at which the similarity of landmarks is 0."""
NEW_TRACK_SEARCH_RADIUS = 5.0
"""The same distance for a track of one detection, whose velocity is not known. At 1.4 m/s a face moves 1.1 of its
widths between two of eight detections a second, and 2.2 between two of four."""
MAX_PREDICTION_SECONDS = 1.0
"""Seconds for which a lost face is assumed to move on: it may also have stopped behind a pillar."""
REJOIN_SECONDS = 5.0
"""Seconds without a match for which a confirmed track waits. Longer bridges longer absences, delays the end of each
visit, and lets more people pass who are similar."""
MIN_APPEARANCE = 0.92
"""Minimum similarity of the appearances. Of labelled persons 1.5 to 5 s apart, 79 % exceed it, and 2 % of the pairs of
different persons in the same scene. Higher begins more second visits, lower joins strangers."""
REJOIN_RADIUS = 1.0
REJOIN_RADIUS_PER_SECOND = 0.5
"""Maximum distance from the expected position in widths of the face, at once and for each second lost. Higher finds
people who moved while hidden, but also others."""
MIN_SIZE_RATIO = 0.7
"""Minimum ratio of the widths of both faces. Lower joins a person to one further away."""
APPEARANCE_WEIGHT = 0.2
"""Minimum weight of the latest detection in the mean appearance. Higher follows the light, lower ignores occlusions."""
DESCRIBED_DETECTIONS = 5
"""Number of first detections of a track whose appearance is always measured: a new track is compared by them."""
DESCRIBED_SECONDS = 0.3
"""Minimum seconds between later measurements; each costs 0.6 ms. Lower follows a change of the light sooner."""
MIN_CHECKED_SCORE = 0.65
"""Minimum confidence of a new face that is not sure and that the face mesh checks. Lower finds few more faces: they
are small, masked or dark, and the mesh misses them too."""
MIN_PRESENCE = 0.5
"""Minimum presence by which such a face starts a track. In street photos as they are, dark and with noise, 56
detections between 0.65 and 0.8 reach it; 2 of them show no labelled face."""
MAX_OVERLAP = 0.3
"""Maximum share of such a face that another face may cover: a forehead or a cheek also resembles a face."""
MAX_CHECKS = 2
"""Maximum number of such checks in one update; each takes 3 ms."""
UNCONFIRMED_SECONDS = 2.0
"""Seconds for which a place that the mesh has not confirmed gets no other check. A pattern on a wall is checked less
often, and is confirmed by chance less often; a person who stands there is found later. With a shop clip from eight
starting frames, 2 cost 6 % less CPU than checks in each update, and 5 lost 2 of 52 persons more."""
MIN_STEP_SECONDS = 0.05
"""Minimum step for a velocity: one pixel of jitter in a millisecond is no speed."""
VELOCITY_WEIGHT = 0.5
"""Weight of the latest step in the mean velocity. Higher follows turns, lower ignores the detector's jitter."""


@dataclass(frozen=True)
class TrackedFace:
    """Assigns a detection to its track.

    Attributes:
        track: Number of the track, counted from 1.
        detection: The face in this frame.
        confirmed: True if the track has enough detections to be a real face.
    """

    track: int
    detection: Detection
    confirmed: bool


@dataclass(frozen=True)
class EndedTrack:
    """Reports the end of a track.

    Attributes:
        track: Number of the track.
        confirmed: True if the track was a real face.
        joined: Number of the track that shows the same face and continues; None if there is none.
    """

    track: int
    confirmed: bool
    joined: int | None = None


@dataclass(eq=False)
class _Track:
    """Predicts and updates one track.

    Attributes:
        hits: Number of detections.
        gaps: Number of updates before the last match in which the track had no match.
        lost: Number of updates since the last match, counting the current one.
        first_seen: Seconds on the source's clock of the first detection, and `last_seen` of the latest; skipped time
            does not count.
        velocity: Pixels per second in x and y.
        appearance: Mean appearance, of some of the detections.
        described_at: Seconds on the source's clock of the latest measurement of the appearance.
    """

    number: int
    detection: Detection
    first_seen: float
    last_seen: float
    appearance: Appearance
    described_at: float
    hits: int = 1
    gaps: int = 0
    lost: int = 0
    velocity: tuple[float, float] = (0.0, 0.0)

    @property
    def confirmed(self) -> bool:
        return self.hits >= MIN_HITS

    def predict(self, elapsed: float) -> tuple[float, float]:
        """Return the expected movement since the last match, pixels in x and y."""
        seconds = min(elapsed - self.last_seen, MAX_PREDICTION_SECONDS)
        return self.velocity[0] * seconds, self.velocity[1] * seconds

    def shift(self, dx: float, dy: float) -> None:
        """Move the last position, pixels in x and y."""
        x1, y1, x2, y2 = self.detection.box
        landmarks = tuple((x + dx, y + dy) for x, y in self.detection.landmarks)
        self.detection = replace(self.detection, box=(x1 + dx, y1 + dy, x2 + dx, y2 + dy), landmarks=landmarks)

    def needs_description(self, elapsed: float) -> bool:
        """Return whether the appearance of the next detection is to be measured."""
        return self.hits < DESCRIBED_DETECTIONS or elapsed - self.described_at >= DESCRIBED_SECONDS

    def update(self, detection: Detection, elapsed: float, appearance: Appearance | None) -> None:
        """Add a detection, and update the mean velocity, and the appearance if it was measured."""
        seconds = max(elapsed - self.last_seen, MIN_STEP_SECONDS)
        weight = 1 if self.hits == 1 else VELOCITY_WEIGHT
        steps = zip(centre(self.detection.box), centre(detection.box), self.velocity, strict=True)
        vx, vy = (mean + ((after - before) / seconds - mean) * weight for before, after, mean in steps)
        self.velocity = (vx, vy)
        self.detection = detection
        self.last_seen = elapsed
        self.hits += 1
        if appearance is not None:
            self.appearance = blend(self.appearance, appearance, max(APPEARANCE_WEIGHT, 1 / self.hits))
            self.described_at = elapsed
        self.gaps += self.lost - 1  # `lost` counts the current update, which has a match
        self.lost = 0

    def continue_with(self, track: "_Track", elapsed: float) -> None:
        """Add the detections of a new track that shows the same face."""
        # Not the mean over the time in which the face was hidden: it may have stopped.
        velocity = track.velocity if track.hits > 1 else self.velocity
        self.update(track.detection, elapsed, track.appearance)
        self.hits += track.hits - 1
        self.velocity = velocity


def _is_plausible(old: _Track, new: _Track, elapsed: float) -> bool:
    """Return whether a new track may continue a lost one, by time, size, position and motion.

    A person who walked when the track was lost is expected further on, and not where the next one may come from. Two
    faces of one frame are two persons.
    """
    if new.first_seen <= old.last_seen:
        return False
    old_width, new_width = (max(track.detection.box[2] - track.detection.box[0], 1.0) for track in (old, new))
    if min(old_width, new_width) < MIN_SIZE_RATIO * max(old_width, new_width):
        return False
    seconds = elapsed - old.last_seen
    begin, place = np.array(centre(old.detection.box)), np.array(centre(new.detection.box))
    nearest, furthest = (np.array(old.velocity) * min(seconds, limit) for limit in (MAX_PREDICTION_SECONDS, seconds))
    path = furthest - nearest
    along = np.clip(np.dot(place - begin - nearest, path) / max(np.dot(path, path), 1.0), 0, 1)
    distance = np.linalg.norm(place - begin - nearest - along * path)
    return bool(distance <= (REJOIN_RADIUS + REJOIN_RADIUS_PER_SECOND * seconds) * max(old_width, new_width))


class Tracker:
    """Matches detections with tracks greedily: the most similar pair first, confident detections before others."""

    def __init__(self, mesh: FaceMesh | None = None) -> None:
        """Start without tracks.

        Args:
            mesh: Checks new faces that are not sure; None: such a face starts no track.
        """
        self._mesh = mesh
        self._tracks: list[_Track] = []
        self._waiting: list[_Track] = []
        self._unconfirmed: list[tuple[Box, float]] = []
        self._count = 0
        self._skipped = 0.0
        self._updated = 0.0
        self._step = 0.0

    def skip(self, elapsed: float) -> None:
        """Pass over a frame without motion. Its time does not count as lost, because every face is still present.

        Args:
            elapsed: Seconds on the source's clock.
        """
        self._skipped += max(0.0, elapsed - self._updated)
        self._updated = elapsed

    def shift(self, dx: float, dy: float) -> None:
        """Move all tracks with the scene, because the camera moved.

        Args:
            dx: Pixels of the frame to the right.
            dy: Pixels of the frame down.
        """
        for track in self._tracks + self._waiting:
            track.shift(dx, dy)

    def cut(self) -> list[EndedTrack]:
        """End all tracks, because the next frame shows another scene."""
        return self._remove(self._tracks + self._waiting, min_hits=2)

    def update(
        self, detections: Sequence[Detection], elapsed: float, image: Image
    ) -> tuple[list[TrackedFace], list[EndedTrack]]:
        """Match the detections of the next frame.

        Args:
            detections: All faces of the frame.
            elapsed: Seconds on the source's clock; they never decrease.
            image: The frame, H x W x 3, BGR.

        Returns:
            Each detection that has a track; and the tracks that have ended.
        """
        ended = self._remove_lost(elapsed)
        for track in self._tracks:
            track.lost += 1
        confident = [each for each in detections if each.sure]
        pairs = self._match(confident, self._tracks, elapsed)
        matched = {track.number for _, track in pairs}
        unmatched = [track for track in self._tracks if track.number not in matched]
        pairs += self._match([each for each in detections if not each.sure], unmatched, elapsed)
        for detection, track in pairs:
            described = describe(image, detection.box) if track.needs_description(elapsed) else None
            track.update(detection, elapsed, described)
        assigned = {id(detection) for detection, _ in pairs}
        new = [each for each in detections if id(each) not in assigned]
        known = [*detections, *(track.detection for track in self._tracks)]
        pairs += [(each, self._start(each, elapsed, image)) for each in self._confident(new, known, elapsed, image)]
        pairs, joined = self._rejoin(pairs, elapsed)
        return [TrackedFace(track.number, each, track.confirmed) for each, track in pairs], ended + joined

    def _confident(
        self, faces: Sequence[Detection], known: Sequence[Detection], elapsed: float, image: Image
    ) -> list[Detection]:
        """Return the new faces that may start a track: those that are sure, or that the face mesh confirms.

        Args:
            faces: Detections without a track.
            known: Other detections, and the latest ones of lost tracks: a part of such a face is no new face.
            elapsed: Seconds on the source's clock.
            image: The frame, H x W x 3, BGR.
        """
        unsure = [
            each
            for each in faces
            if not each.sure
            and each.landmarks
            and each.score >= MIN_CHECKED_SCORE
            and not self._is_unconfirmed(each.box, elapsed)
            and not any(overlap(each.box, other.box) > MAX_OVERLAP for other in known if other is not each)
        ]
        confident = [each for each in faces if each.sure]
        if self._mesh is None:
            return confident
        for each in sorted(unsure, key=lambda each: -each.score)[:MAX_CHECKS]:
            if self._mesh.check(image, each).presence >= MIN_PRESENCE:
                confident.append(each)
            else:
                self._unconfirmed.append((each.box, elapsed))
        return confident

    def _is_unconfirmed(self, place: Box, elapsed: float) -> bool:
        """Return whether the mesh has lately not confirmed a face at a place."""
        self._unconfirmed = [(box, at) for box, at in self._unconfirmed if elapsed - at < UNCONFIRMED_SECONDS]
        return any(overlap(place, box) > MAX_OVERLAP for box, _ in self._unconfirmed)

    def _remove_lost(self, elapsed: float) -> list[EndedTrack]:
        """Remove the tracks that are lost for too long; confirmed ones wait before they end."""
        for track in self._tracks:
            track.first_seen += self._skipped
            track.last_seen += self._skipped
            track.described_at += self._skipped
        # Use the previous step: after a long absence of the camera, the tracks from before it must end.
        max_lost = max(MAX_LOST_SECONDS, MAX_LOST_STEPS * self._step)
        step = elapsed - self._updated
        self._step = step
        self._updated = elapsed
        self._skipped = 0.0
        if step > max_lost:
            return self._remove(self._tracks + self._waiting, min_hits=2)
        lost = [track for track in self._tracks if elapsed - track.last_seen > max_lost]
        waiting = [track for track in lost if track.confirmed]
        ended = [track for track in lost if not track.confirmed]
        ended += [track for track in self._waiting if elapsed - track.last_seen > max(REJOIN_SECONDS, max_lost)]
        ended_tracks = self._remove(ended, min_hits=2)
        self._tracks = [track for track in self._tracks if track not in waiting]
        self._waiting += waiting
        return ended_tracks

    def _rejoin(
        self, pairs: list[tuple[Detection, _Track]], elapsed: float
    ) -> tuple[list[tuple[Detection, _Track]], list[EndedTrack]]:
        """Replace new tracks by the lost tracks that they continue, the most similar pair first.

        A new track is compared until it is confirmed, because its first detections may be half hidden.
        """
        lost = [track for track in self._tracks if track.confirmed and track.lost] + self._waiting
        new = [track for _, track in pairs if not track.confirmed]
        candidates = [
            (similarity(old.appearance, each.appearance), old, each)
            for each in new
            for old in lost
            if _is_plausible(old, each, elapsed)
        ]
        replaced: dict[int, _Track] = {}
        ended: list[EndedTrack] = []
        for likeness, old, each in sorted(candidates, key=lambda candidate: -candidate[0]):
            if likeness < MIN_APPEARANCE or each.number in replaced or old in replaced.values():
                continue
            replaced[each.number] = old
            old.continue_with(each, elapsed)
            self._tracks = [track for track in self._tracks if track is not each and track is not old] + [old]
            self._waiting = [track for track in self._waiting if track is not old]
            if each.hits > 1:
                ended.append(EndedTrack(each.number, confirmed=False, joined=old.number))
        return [(detection, replaced.get(track.number, track)) for detection, track in pairs], ended

    def expected(self, elapsed: float) -> list[tuple[Box, float]]:
        """Return where the faces of all tracks are expected: boxes, and the search radius in widths of each box.

        Args:
            elapsed: Seconds on the source's clock, of the next update.
        """
        places = []
        for track in self._tracks:
            dx, dy = track.predict(elapsed - self._skipped)
            x1, y1, x2, y2 = track.detection.box
            radius = NEW_TRACK_SEARCH_RADIUS if track.hits == 1 else SEARCH_RADIUS
            places.append(((x1 + dx, y1 + dy, x2 + dx, y2 + dy), radius))
        return places

    @property
    def has_lost(self) -> bool:
        """Return whether a track had no match in the last update. Tracks that wait do not count."""
        return any(track.lost for track in self._tracks)

    def finish(self) -> list[EndedTrack]:
        """End all tracks. No frame follows, so a single detection is enough to confirm a track."""
        return self._remove(self._tracks + self._waiting, min_hits=1)

    def _remove(self, ended: list[_Track], *, min_hits: int) -> list[EndedTrack]:
        """Remove tracks. A track without a gap counts as confirmed if it has `min_hits` detections."""
        self._tracks = [track for track in self._tracks if track not in ended]
        self._waiting = [track for track in self._waiting if track not in ended]
        return [
            EndedTrack(track.number, track.confirmed or (track.hits >= min_hits and not track.gaps)) for track in ended
        ]

    def _start(self, detection: Detection, elapsed: float, image: Image) -> _Track:
        self._count += 1
        track = _Track(self._count, detection, elapsed, elapsed, describe(image, detection.box), elapsed)
        self._tracks.append(track)
        return track

    def _match(
        self, detections: list[Detection], tracks: list[_Track], elapsed: float
    ) -> list[tuple[Detection, _Track]]:
        """Pair detections with tracks, the most similar pair first."""
        if not detections or not tracks:
            return []
        shifts = np.array([each.predict(elapsed) for each in tracks])
        radius = np.array([NEW_TRACK_SEARCH_RADIUS if each.hits == 1 else SEARCH_RADIUS for each in tracks])
        predicted = _points([each.detection for each in tracks]) + shifts[:, None]
        similarity = _similarity(_points(detections), predicted, radius)
        pairs: dict[int, int] = {}
        matched: set[int] = set()
        rows, columns = np.nonzero(similarity >= MIN_SIMILARITY)
        for index in np.argsort(-similarity[rows, columns], kind="stable"):
            row, column = int(rows[index]), int(columns[index])
            if row not in pairs and column not in matched:
                pairs[row] = column
                matched.add(column)
        return [(detections[row], tracks[column]) for row, column in pairs.items()]


def _points(detections: Sequence[Detection]) -> npt.NDArray[np.float64]:
    """Return N x 7 x 2: two corners of each box and its five landmarks, or five times its centre."""
    return np.array([[each.box[:2], each.box[2:], *(each.landmarks or [centre(each.box)] * 5)] for each in detections])


def _similarity(
    detections: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64], radius: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the similarity of N detections and M tracks: N x M, 0 to 1.

    Half of it is the intersection over union of the boxes, half the nearness of the landmarks. Boxes alone do not
    suffice: the boxes of a person who walks may not overlap. A difference in size lowers both halves.

    Args:
        detections: Points of the detections, N x 7 x 2.
        predicted: Points of the tracks where they are expected, M x 7 x 2.
        radius: Distance in widths of a face at which nearness is 0, M.
    """
    a, b = detections[:, None], predicted[None]
    size_a, size_b = a[..., 1, :] - a[..., 0, :], b[..., 1, :] - b[..., 0, :]
    sides = np.minimum(a[..., 1, :], b[..., 1, :]) - np.maximum(a[..., 0, :], b[..., 0, :])
    intersection = np.clip(sides, 0, None).prod(axis=-1)
    union = size_a.prod(axis=-1) + size_b.prod(axis=-1) - intersection
    distance = np.linalg.norm(a[..., 2:, :] - b[..., 2:, :], axis=-1).mean(axis=-1)
    width_a, width_b = np.maximum(size_a[..., 0], 1), np.maximum(size_b[..., 0], 1)
    nearness = np.clip(1 - distance / (radius * np.maximum(width_a, width_b)), 0, None)
    size_ratio = np.minimum(width_a, width_b) / np.maximum(width_a, width_b)
    similarity: npt.NDArray[np.float64] = size_ratio * (intersection / np.maximum(union, 1) + nearness) / 2
    return similarity
