"""Clips of which is known who is to be seen where."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from bench.eyes.match import SAME, least_side
from face_app.edge.image import Box, iou

LEAST_SIDE = 20
"""Pixels that a face must reach, in some frame, for its person to count; a smaller face identifies no one."""
SLACK = 2
"""Frames between a shot and the truth with which it may be compared; the truth has gaps of one frame."""

DOORWAY = "doorway"


@dataclass(frozen=True)
class Clip:
    """A clip and its truth.

    Attributes:
        name: Its name.
        file: The video.
        boxes: By frame and person, where the face is.
        counted: The persons who must be caught; the doorway's passages all, others from `LEAST_SIDE` on.
        ignored: Stretches of frames in which a face may be found or not.
    """

    name: str
    file: Path
    boxes: dict[int, dict[str, Box]]
    counted: frozenset[str]
    ignored: tuple[range, ...]

    @property
    def persons(self) -> frozenset[str]:
        """All persons, of any size."""
        return frozenset(name for faces in self.boxes.values() for name in faces)

    def person_at(self, frame: int, box: Box) -> str | None:
        """Return the person whose face the box is: the largest overlap in the nearest annotated frame."""
        nearest: dict[str, Box] = {}
        for distance in sorted(range(-SLACK, SLACK + 1), key=abs):
            for name, truth in self.boxes.get(frame + distance, {}).items():
                nearest.setdefault(name, truth)
        name = max(nearest, key=lambda each: iou(box, nearest[each]), default=None)
        return name if name is not None and iou(box, nearest[name]) >= SAME else None

    def ignores(self, frame: int) -> bool:
        """Return whether faces of unlisted persons are expected in this frame."""
        return any(frame in stretch for stretch in self.ignored)


def read_clips(data: Path) -> list[Clip]:
    """All clips of the data folder that have a truth, the doorway first."""
    videos = data / "videos"
    passages = json.loads((videos / "passages_768x432.gt.json").read_text())
    others = json.loads((videos / "video_gt.json").read_text())
    return [
        _clip(DOORWAY, videos, passages, least=0),
        *(_clip(name, videos, clip, least=LEAST_SIDE) for name, clip in others.items()),
    ]


def _clip(name: str, videos: Path, truth: dict, *, least: float) -> Clip:
    boxes = {int(frame): {person: tuple(box) for person, *box in faces} for frame, faces in truth["boxes"].items()}
    counted = {person for faces in boxes.values() for person, box in faces.items() if least_side(box) >= least}
    return Clip(name, videos / truth["file"], boxes, frozenset(counted), ignored_stretches(truth.get("note", "")))


def ignored_stretches(note: str) -> tuple[range, ...]:
    """Read the stretches that a note wants ignored, such as "at frames ~683-688, 759-786: treat as ignore"."""
    if "ignore" not in note:
        return ()
    stretches = re.findall(r"(\d+)-(\d+)", note)
    return tuple(range(int(first) - SLACK, int(last) + SLACK + 1) for first, last in stretches)
