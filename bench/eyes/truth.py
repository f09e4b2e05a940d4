"""Clips of which is known who is to be seen where."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.eyes.match import SAME, least_side
from face_app.edge.image import Box, iou

LEAST_SIDE = 20
"""Pixels that a face must reach, in some frame, for its person to count; a smaller face identifies no one."""
SLACK = 2
"""Frames between a shot and the truth with which it may be compared; the truth has gaps of one frame."""

EVERYWHERE: Box = (-1e6, -1e6, 1e6, 1e6)

DOORWAY = "doorway"


@dataclass(frozen=True)
class Clip:
    """A clip and its truth.

    Attributes:
        name: Its name.
        file: The video.
        boxes: By frame and person, where the face is.
        counted: The persons who must be caught; the doorway's passages all, others from `LEAST_SIDE` on.
        ignored: By frame, rectangles in which a face may be found or not.
    """

    name: str
    file: Path
    boxes: dict[int, dict[str, Box]]
    counted: frozenset[str]
    ignored: dict[int, list[Box]]

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

    def ignores(self, frame: int, box: Box) -> bool:
        """Return whether the centre of the box is where a face can be neither right nor wrong."""
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        return any(x1 <= x <= x2 and y1 <= y <= y2 for x1, y1, x2, y2 in self.ignored.get(frame, ()))

    def changed(self, file: Path, frames: Sequence[int], move: Callable[[int, Box], Box], name: str = "") -> "Clip":
        """Return the clip after a change of its pictures.

        Args:
            file: The new video.
            frames: For each new frame the old one that it shows.
            move: Gives the new box for a new frame and an old box.
            name: Its new name.
        """
        boxes = {
            new: {name: move(new, box) for name, box in self.boxes[old].items()}
            for new, old in enumerate(frames)
            if old in self.boxes
        }
        ignored = {new: [move(new, box) for box in self.ignored.get(old, ())] for new, old in enumerate(frames)}
        present = frozenset(name for faces in boxes.values() for name in faces)
        return Clip(name or self.name, file, boxes, self.counted & present, ignored)


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
    ignored: dict[int, list[Box]] = {}
    for stretch, box in _ignored(truth):
        for frame in stretch:
            ignored.setdefault(frame, []).append(box)
    return Clip(name, videos / truth["file"], boxes, frozenset(counted), ignored)


def _ignored(truth: dict) -> list[tuple[range, Box]]:
    """Read what a clip ignores: rectangles for some frames, or else whole frames that its note names."""
    if "ignore" in truth:
        return [(range(first, last + 1), tuple(box)) for first, last, *box, _, _ in truth["ignore"]]
    return [(stretch, EVERYWHERE) for stretch in ignored_stretches(truth.get("note", ""))]


def ignored_stretches(note: str) -> tuple[range, ...]:
    """Read the stretches that a note wants ignored, such as "at frames ~683-688, 759-786: treat as ignore"."""
    if "ignore" not in note:
        return ()
    stretches = re.findall(r"(\d+)-(\d+)", note)
    return tuple(range(int(first) - SLACK, int(last) + SLACK + 1) for first, last in stretches)
