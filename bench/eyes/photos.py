"""Faces in annotated photos: found faces and false boxes of every program."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.eyes.match import least_side, match
from bench.eyes.programs import Program, run
from face_app.edge.image import Box

SETS = {"fmd": ("fmd", "fmd_boxes.json"), "dlib": ("dlib_faces", "dlib_boxes.json")}

KINDS = {
    "bare >= 20 px": ({"no_mask", "face"}, 20),
    "bare >= 32 px": ({"no_mask", "face"}, 32),
    "masked >= 20 px": ({"mask", "mask_incorrect"}, 20),
}
"""Labels and least side of the faces that are counted."""

RESAMPLES = 2000


@dataclass(frozen=True)
class Photo:
    """A photo and its labels.

    Attributes:
        file: The picture.
        faces: All labelled boxes, of any size, with their labels.
    """

    file: Path
    faces: list[tuple[Box, str]]


@dataclass(frozen=True)
class Score:
    """Result of one program on a set of photos.

    Attributes:
        found: By kind, faces found in each photo.
        detections: Boxes in all photos.
        false: Of them, those that are no labelled face, by photo. The labels have gaps: some of them are faces too.
    """

    found: dict[str, list[int]]
    detections: int
    false: dict[Path, list[Box]]

    @property
    def matched(self) -> int:
        return self.detections - sum(len(boxes) for boxes in self.false.values())

    @property
    def precision(self) -> float:
        return self.matched / self.detections if self.detections else 0.0


@dataclass(frozen=True)
class PhotoSet:
    """Results of all programs on one set.

    Attributes:
        photos: How many.
        present: By kind, labelled faces in each photo.
        scores: Results by program.
    """

    photos: int
    present: dict[str, list[int]]
    scores: dict[str, Score]

    def recall(self, score: Score, kind: str) -> float | None:
        """Faces found of those labelled; None where there are none."""
        of = sum(self.present[kind])
        return sum(score.found[kind]) / of if of else None

    def ratio(self, kind: str, program: str, other: str) -> tuple[float, float, float]:
        """Ratio of one program's recall to another's: as found, and the 95 % interval of a bootstrap over photos."""
        counts = np.array([self.scores[name].found[kind] for name in (program, other)])
        draws = np.random.default_rng(0).integers(counts.shape[1], size=(RESAMPLES, counts.shape[1]))
        mine, its = counts[:, draws].sum(axis=2)
        low, high = np.percentile(mine / np.maximum(its, 1), [2.5, 97.5])
        return float(counts[0].sum() / max(counts[1].sum(), 1)), float(low), float(high)

    def new_false(self, program: str, other: str) -> list[tuple[Path, Box]]:
        """Boxes of one program that are no labelled face, and that the other does not draw."""
        mine, its = (self.scores[name].false for name in (program, other))
        return [
            (photo, box)
            for photo, boxes in mine.items()
            for box, same in zip(boxes, match(boxes, its.get(photo, [])), strict=True)
            if same is None
        ]

    def document(self) -> dict[str, object]:
        """All of it as plain JSON values."""
        return {
            "photos": self.photos,
            "faces": {kind: sum(self.present[kind]) for kind in KINDS},
        } | {
            program: {
                "recall": {kind: self.recall(score, kind) for kind in KINDS},
                "detections": score.detections,
                "precision": score.precision,
                "false": {photo.name: boxes for photo, boxes in score.false.items()},
            }
            for program, score in self.scores.items()
        }


def read_photos(data: Path, name: str, every: int) -> list[Photo]:
    """Every so many photos of a set."""
    folder, labels = (data / "images" / part for part in SETS[name])
    faces = json.loads(labels.read_text())
    return [
        Photo(folder / file, [(tuple(box), label) for *box, label in faces[file]]) for file in sorted(faces)[::every]
    ]


def measure(photos: Sequence[Photo], programs: Sequence[Program]) -> PhotoSet:
    """Run all programs on the photos."""
    files = [str(photo.file) for photo in photos]
    lines = {
        program.name: run(
            program, ["detect", "--json", *files] if program.source.is_dir() else ["--photos", *files]
        ).lines
        for program in programs
    }
    return PhotoSet(
        len(photos),
        {kind: [len(_of_kind(photo, kind)) for photo in photos] for kind in KINDS},
        {name: score(photos, [_boxes(line) for line in printed]) for name, printed in lines.items()},
    )


def score(photos: Sequence[Photo], found: Sequence[Sequence[Box]]) -> Score:
    """Match the boxes of each photo, the surest first, with its labels."""
    places = [match(boxes, [box for box, _ in photo.faces]) for photo, boxes in zip(photos, found, strict=True)]
    return Score(
        {
            kind: [len(_of_kind(photo, kind) & set(places[number])) for number, photo in enumerate(photos)]
            for kind in KINDS
        },
        sum(len(each) for each in places),
        {
            photo.file: false
            for photo, boxes, each in zip(photos, found, places, strict=True)
            if (false := [box for box, place in zip(boxes, each, strict=True) if place is None])
        },
    )


def _of_kind(photo: Photo, kind: str) -> set[int]:
    labels, least = KINDS[kind]
    return {place for place, (box, label) in enumerate(photo.faces) if label in labels and least_side(box) >= least}


def _boxes(line: str) -> list[Box]:
    """Read one photo of either program; a cascade gives no score, and its order stays."""
    faces = sorted(json.loads(line)["faces"], key=lambda face: -face.get("score", 1.0))
    return [tuple(face["box"]) for face in faces]
