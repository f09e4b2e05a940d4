"""Which face is which, and when one is due for a crop: the simplest rule that keeps the flood down."""

from dataclasses import dataclass

from face_app.edge.detect import Detection
from face_app.edge.image import Box, overlap

SAME_FACE = 0.3
"""Least intersection over union of one face in two frames; higher splits fast faces into more tracks."""
LOST_AFTER = 1.0
"""Seconds unseen until a track ends; longer joins two people who pass the same spot."""
CROP_EVERY = 1.0
"""Least seconds between two crops of one track."""


@dataclass(frozen=True)
class Sighting:
    """One face in one frame.

    Attributes:
        track: Number of the visit, counted from 1.
        detection: Where it is.
        first: Whether the track begins here.
        due: Whether a crop is to be taken now.
    """

    track: int
    detection: Detection
    first: bool
    due: bool


@dataclass
class _Track:
    number: int
    box: Box
    seen: float
    cropped: float | None = None


class Tracker:
    """Joins detections of one camera into tracks: the pairs of largest overlap first."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._count = 0

    def update(self, detections: list[Detection], elapsed: float) -> list[Sighting]:
        """Take the faces of the next frame.

        Args:
            detections: The frame's faces.
            elapsed: Seconds on the source's clock; never less than in the call before.

        Returns:
            One sighting a detection, in the order of `detections`.
        """
        self._tracks = [track for track in self._tracks if elapsed - track.seen <= LOST_AFTER]
        matches = self._match(detections)
        return [self._see(matches.get(place), detection, elapsed) for place, detection in enumerate(detections)]

    def _match(self, detections: list[Detection]) -> dict[int, _Track]:
        pairs = [
            (overlap(track.box, detection.box), place, track)
            for place, detection in enumerate(detections)
            for track in self._tracks
        ]
        matches: dict[int, _Track] = {}
        taken: set[int] = set()
        for value, place, track in sorted(pairs, key=lambda pair: pair[0], reverse=True):
            if value >= SAME_FACE and place not in matches and track.number not in taken:
                matches[place] = track
                taken.add(track.number)
        return matches

    def _see(self, track: _Track | None, detection: Detection, elapsed: float) -> Sighting:
        first = track is None
        if track is None:
            self._count += 1
            track = _Track(self._count, detection.box, elapsed)
            self._tracks.append(track)
        track.box, track.seen = detection.box, elapsed
        due = track.cropped is None or elapsed - track.cropped >= CROP_EVERY
        if due:
            track.cropped = elapsed
        return Sighting(track.number, detection, first, due)
