"""Which face is which: detections of one camera, joined into tracks.

Two thresholds, after ByteTrack (Zhang et al., 2022): a sure detection may begin a track, a doubtful one can only
continue one. So a face that turns away keeps its track, and a poster's corner never gets one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from face_app.edge.image import Box
from face_app.edge.vision.detectors.detection import Detection

ALIKE = 0.25
"""Least likeness of one face in two looks; higher splits fast faces into more tracks, lower joins neighbours."""
LOST_AFTER = 1.5
"""Seconds unseen until a track ends. Longer bridges longer occlusions, and joins two people who pass the same spot."""
LOST_LOOKS = 2.5
"""Looks unseen until a track ends at the soonest: there are cameras of one frame in two seconds."""
SURE_AFTER = 3
"""Detections until a track is believed. A face that was there for two looks only must have been in both."""
REACH = 1.5
"""Widths of a face, around the place where it should be, beyond which nothing is like it."""
FIRST_REACH = 5.0
"""The same after one look, when nobody knows where it is going: who walks past at 1.4 m/s comes 1.1 widths of a face
further between two of eight looks a second, and 2.2 between two of four."""
COAST = 1.0
"""Seconds for which a face that is not seen is thought to go on: it may also have stopped behind the pillar."""
SHORTEST = 0.05
"""Seconds that a step takes at least: a pixel of trembling in a millisecond is no speed."""
STEADY = 0.5
"""Of the latest step in the mean of a track's speed: high follows turns, low ignores the detector's trembling."""


@dataclass(frozen=True)
class Sighting:
    """One face in one look.

    Attributes:
        track: Number of its track, counted from 1.
        detection: Where it is.
        believed: Whether the track has been seen often enough to be somebody.
    """

    track: int
    detection: Detection
    believed: bool


@dataclass(frozen=True)
class End:
    """A track that is over.

    Attributes:
        track: Its number.
        believed: Whether it was somebody.
    """

    track: int
    believed: bool


@dataclass(eq=False)
class _Track:
    """`missed` counts the looks before the last sighting in which it was not seen, `unseen` those since then."""

    number: int
    detection: Detection
    seen: float
    hits: int = 1
    missed: int = 0
    unseen: int = 0
    speed: tuple[float, float] = (0.0, 0.0)

    @property
    def believed(self) -> bool:
        return self.hits >= SURE_AFTER

    def shift(self, elapsed: float) -> tuple[float, float]:
        """How far it should have come, pixels."""
        time = min(elapsed - self.seen, COAST)
        return self.speed[0] * time, self.speed[1] * time


class Tracker:
    """Joins detections into tracks: the most alike first, those of sure detections before those of doubtful ones."""

    def __init__(self, score: float) -> None:
        """Begin without tracks.

        Args:
            score: Least confidence that begins a track.
        """
        self._score = score
        self._tracks: list[_Track] = []
        self._count = 0
        self._still = 0.0
        self._looked = 0.0
        self._step = 0.0

    def idle(self, elapsed: float) -> None:
        """A frame came in which nothing moves: who was there still is, and the time does not count as unseen."""
        self._still += max(0.0, elapsed - self._looked)
        self._looked = elapsed

    def update(self, detections: Sequence[Detection], elapsed: float) -> tuple[list[Sighting], list[End]]:
        """Take the faces of the next look.

        Args:
            detections: The frame's faces.
            elapsed: Seconds on the source's clock; never less than in the call before.

        Returns:
            One sighting for each detection that has a track, and the tracks that are over.
        """
        for track in self._tracks:
            track.seen += self._still
        # The step before this one: where the camera was away just now, those who were there have gone.
        patience = max(LOST_AFTER, LOST_LOOKS * self._step)
        self._step = elapsed - self._looked
        self._looked, self._still = elapsed, 0.0
        ends = self._end([track for track in self._tracks if elapsed - track.seen > patience], least=2)
        for track in self._tracks:
            track.unseen += 1
        sure = [each for each in detections if each.score >= self._score]
        pairs = self._join(sure, self._tracks, elapsed)
        taken = {track.number for _, track in pairs}
        free = [track for track in self._tracks if track.number not in taken]
        pairs += self._join([each for each in detections if each.score < self._score], free, elapsed)
        known = {id(detection) for detection, _ in pairs}
        begun = [(each, self._begin(each, elapsed)) for each in sure if id(each) not in known]
        return [Sighting(track.number, each, track.believed) for each, track in pairs + begun], ends

    @property
    def missing(self) -> bool:
        """Whether a face that was there is not seen now."""
        return any(track.unseen for track in self._tracks)

    def close(self) -> list[End]:
        """End all tracks: there is no look after this one, so one look may be all that a face could have."""
        return self._end(list(self._tracks), least=1)

    def _end(self, over: list[_Track], *, least: int) -> list[End]:
        self._tracks = [track for track in self._tracks if track not in over]
        return [End(each.number, each.believed or (each.hits >= least and not each.missed)) for each in over]

    def _begin(self, detection: Detection, elapsed: float) -> _Track:
        self._count += 1
        track = _Track(self._count, detection, elapsed)
        self._tracks.append(track)
        return track

    def _join(
        self, detections: list[Detection], tracks: list[_Track], elapsed: float
    ) -> list[tuple[Detection, _Track]]:
        """Pair detections with tracks, and bring these up to date."""
        if not detections or not tracks:
            return []
        shifts = np.array([each.shift(elapsed) for each in tracks])
        reach = np.array([FIRST_REACH if each.hits == 1 else REACH for each in tracks])
        alike = _likeness(_marks(detections), _marks([each.detection for each in tracks]) + shifts[:, None], reach)
        pairs: dict[int, int] = {}
        taken: set[int] = set()
        rows, columns = np.nonzero(alike >= ALIKE)
        for place in np.argsort(-alike[rows, columns], kind="stable"):
            row, column = int(rows[place]), int(columns[place])
            if row not in pairs and column not in taken:
                pairs[row] = column
                taken.add(column)
        for row, column in pairs.items():
            _follow(tracks[column], detections[row], elapsed)
        return [(detections[row], tracks[column]) for row, column in pairs.items()]


def _follow(track: _Track, detection: Detection, elapsed: float) -> None:
    time = max(elapsed - track.seen, SHORTEST)
    weight = 1 if track.hits == 1 else STEADY
    steps = zip(_centre(track.detection.box), _centre(detection.box), track.speed, strict=True)
    vx, vy = (old + ((there - here) / time - old) * weight for here, there, old in steps)
    track.speed, track.detection, track.seen = (vx, vy), detection, elapsed
    track.hits += 1
    track.missed, track.unseen = track.missed + track.unseen - 1, 0


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _marks(detections: Sequence[Detection]) -> npt.NDArray[np.float64]:
    """N x 7 x 2: two corners of each box, and its five landmarks, or as often its centre."""
    return np.array([[each.box[:2], each.box[2:], *(each.landmarks or [_centre(each.box)] * 5)] for each in detections])


def _likeness(
    ones: npt.NDArray[np.float64], others: npt.NDArray[np.float64], reach: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """How much each of N faces is like each of M, with M reaches: N x M, 0 to 1.

    Half of it is the overlap of the boxes (intersection over union), half the nearness of the landmarks: faces that
    walk do not overlap from one look to the next. Both count the less the more the sizes differ.
    """
    a, b = ones[:, None], others[None]
    size_a, size_b = a[..., 1, :] - a[..., 0, :], b[..., 1, :] - b[..., 0, :]
    sides = np.minimum(a[..., 1, :], b[..., 1, :]) - np.maximum(a[..., 0, :], b[..., 0, :])
    both = np.clip(sides, 0, None).prod(axis=-1)
    union = size_a.prod(axis=-1) + size_b.prod(axis=-1) - both
    away = np.linalg.norm(a[..., 2:, :] - b[..., 2:, :], axis=-1).mean(axis=-1)
    width_a, width_b = np.maximum(size_a[..., 0], 1), np.maximum(size_b[..., 0], 1)
    near = np.clip(1 - away / (reach * np.maximum(width_a, width_b)), 0, None)
    size = np.minimum(width_a, width_b) / np.maximum(width_a, width_b)
    likeness: npt.NDArray[np.float64] = size * (both / np.maximum(union, 1) + near) / 2
    return likeness
