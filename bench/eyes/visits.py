"""Persons in annotated clips: caught ones, their shots and bytes, and wrong shots."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.eyes.programs import HOMEWORK, capture_clip, run
from bench.eyes.truth import Clip
from face_app.edge.image import Box


@dataclass(frozen=True)
class Shot:
    """A picture of a face that would be sent.

    Attributes:
        file: The picture.
        frame: Where it was taken, counted from 0.
        box: The face, pixels of the frame.
        size: Bytes of the file.
        caption: Why it was taken and how good it is.
    """

    file: Path
    frame: int
    box: Box
    size: int
    caption: str = ""


@dataclass(frozen=True)
class Visits:
    """Result of one program on clips.

    Attributes:
        present: Persons who must be caught.
        caught: Of them, those with a shot.
        present_small: All persons, however small.
        caught_small: Of them, those with a shot.
        shots: All shots.
        right: Of them, those of a person.
        wrong: Of them, those of no person, outside the ignored stretches.
        size: Bytes of all shots.
    """

    present: int
    caught: int
    present_small: int
    caught_small: int
    shots: int
    right: int
    wrong: int
    size: int

    def __add__(self, other: "Visits") -> "Visits":
        return Visits(*(mine + its for mine, its in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def shots_per_person(self) -> float:
        """Right shots a person caught, however small."""
        return self.right / self.caught_small if self.caught_small else 0.0


@dataclass(frozen=True)
class Seen:
    """A clip with the shots of both programs.

    Attributes:
        clip: And its truth.
        homework: Shots of the homework.
        face_app: Shots of face-app.
    """

    clip: Clip
    homework: list[Shot]
    face_app: list[Shot]


def watch(clips: Sequence[Clip], folder: Path) -> list[Seen]:
    """Run both programs on the clips in parallel: nothing is timed here."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        homework = [pool.submit(_homework_shots, clip, folder / clip.name / "homework") for clip in clips]
        face_app = [pool.submit(_face_app_shots, clip, folder / clip.name / "face_app") for clip in clips]
        both = zip(clips, homework, face_app, strict=True)
        return [Seen(clip, theirs.result(), mine.result()) for clip, theirs, mine in both]


def count(clip: Clip, shots: Sequence[Shot]) -> Visits:
    """Compare shots with the annotation."""
    whose = [clip.person_at(shot.frame, shot.box) for shot in shots]
    by_person = Counter(name for name in whose if name)
    return Visits(
        present=len(clip.counted),
        caught=len(clip.counted & by_person.keys()),
        present_small=len(clip.persons),
        caught_small=len(by_person),
        shots=len(shots),
        right=by_person.total(),
        wrong=sum(name is None and not clip.ignores(shot.frame) for name, shot in zip(whose, shots, strict=True)),
        size=sum(shot.size for shot in shots),
    )


def _homework_shots(clip: Clip, folder: Path) -> list[Shot]:
    folder.mkdir(parents=True)
    answer = json.loads(run([*HOMEWORK, str(clip.file), "--crops", str(folder)]).lines[-1])
    return [Shot(folder / each["file"], each["frame"], tuple(each["box"]), each["bytes"]) for each in answer["shots"]]


def _face_app_shots(clip: Clip, folder: Path) -> list[Shot]:
    folder.mkdir(parents=True)
    answer = json.loads(run(capture_clip(clip.file, folder)).lines[-1])
    shots = []
    for each in answer["shots"]:
        file = folder / Path(each["file"]).name
        caption = f"{each['why']} {each['score']:.2f}"
        shots.append(Shot(file, each["frame"], tuple(each["box"]), file.stat().st_size, caption))
    return shots
