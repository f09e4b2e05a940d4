"""Persons in annotated clips: caught ones, their visits and shots, wrong shots, and refused visits."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from bench.eyes.programs import Program, stored
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
        track: Its visit.
    """

    file: Path
    frame: int
    box: Box
    size: int
    caption: str = ""
    track: int = 0


@dataclass(frozen=True)
class Visit:
    """A visit that a program believed.

    Attributes:
        reason: Why it has no picture; empty where it has one, or no reason is given.
        places: Frames and boxes of its shots and of its best picture.
        shots: How many of its pictures would be sent.
    """

    reason: str
    places: list[tuple[int, Box]]
    shots: int


@dataclass(frozen=True)
class Played:
    """What a program did with a clip.

    Attributes:
        shots: Pictures that would be sent.
        visits: Visits that it believed.
        frames: Frames that it processed.
        cpu_seconds: CPU that it took for them.
    """

    shots: list[Shot]
    visits: list[Visit]
    frames: int
    cpu_seconds: float


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
        duplicates: Visits with a right shot of a person of whom an earlier visit has one.
        wrong: Shots of no person, outside the ignored places.
        size: Bytes of all shots.
        believed: Visits that the program believed.
        false: Of them, those whose pictures all show no person, outside the ignored places.
        silent: Of them, those without a picture and without a reason.
        refused: Of them, those without a picture, by reason.
    """

    present: int = 0
    caught: int = 0
    present_small: int = 0
    caught_small: int = 0
    shots: int = 0
    right: int = 0
    duplicates: int = 0
    wrong: int = 0
    size: int = 0
    believed: int = 0
    false: int = 0
    silent: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: "Visits") -> "Visits":
        refused = Counter(self.refused) + Counter(other.refused)
        numbers = (each.name for each in fields(self) if each.name != "refused")
        return Visits(*(getattr(self, name) + getattr(other, name) for name in numbers), dict(refused))

    @property
    def shots_per_person(self) -> float:
        """Right shots a person caught, however small."""
        return self.right / self.caught_small if self.caught_small else 0.0

    @property
    def believed_per_person(self) -> float:
        """Believed visits a person present, however small."""
        return self.believed / self.present_small if self.present_small else 0.0


def play(program: Program, clip: Path, cache: Path, settings: Mapping[str, str] | None = None) -> Played:
    """Run a program on a clip, or take what the same program has found in it before."""
    answer, folder = stored(program, clip, cache, settings)
    shots = [_shot(each, folder) for each in answer["shots"]]
    return Played(shots, _visits(answer, shots), answer["frames"], answer["cpu_seconds"])


def count(clip: Clip, played: Played) -> Visits:
    """Compare shots and visits with the annotation."""
    whose = [clip.person_at(shot.frame, shot.box) for shot in played.shots]
    by_person = Counter(name for name in whose if name)
    visits_of = defaultdict(set)
    for name, shot in zip(whose, played.shots, strict=True):
        visits_of[name].add(shot.track)
    silent = [visit for visit in played.visits if not visit.shots]
    return Visits(
        present=len(clip.counted),
        caught=len(clip.counted & by_person.keys()),
        present_small=len(clip.persons),
        caught_small=len(by_person),
        shots=len(played.shots),
        right=by_person.total(),
        duplicates=sum(len(visits_of[name]) - 1 for name in by_person),
        wrong=sum(_is_false(clip, [(shot.frame, shot.box)]) for shot in played.shots),
        size=sum(shot.size for shot in played.shots),
        believed=len(played.visits),
        false=sum(_is_false(clip, visit.places) for visit in played.visits),
        silent=sum(not visit.reason for visit in silent),
        refused=dict(Counter(visit.reason for visit in silent if visit.reason)),
    )


def _is_false(clip: Clip, places: Sequence[tuple[int, Box]]) -> bool:
    """Return whether there are boxes, and each is of no person and in no ignored place."""
    return bool(places) and not any(clip.person_at(*place) or clip.ignores(*place) for place in places)


def _shot(shot: dict, folder: Path) -> Shot:
    file = folder / Path(shot["file"]).name
    caption = f"{shot['why']} {shot['score']:.2f}" if "why" in shot else ""
    return Shot(file, shot["frame"], tuple(shot["box"]), file.stat().st_size, caption, shot["track"])


def _visits(answer: dict, shots: Iterable[Shot]) -> list[Visit]:
    """Read the visits; a program that lists none is known to have believed so many, and by its shots."""
    places = defaultdict(list)
    for shot in shots:
        places[shot.track].append((shot.frame, shot.box))
    if "visits" in answer:
        return [_visit(each, places[each["track"]]) for each in answer["visits"]]
    pictured = [Visit("", boxes, len(boxes)) for boxes in places.values()]
    return pictured + [Visit("", [], 0)] * (answer.get("tracks", 0) - len(pictured))


def _visit(visit: dict, places: list[tuple[int, Box]]) -> Visit:
    best = visit.get("best")
    also = [(best["frame"], tuple(best["box"]))] if isinstance(best, dict) and best.get("box") else []
    return Visit(visit.get("dismissed") or "", places + also, len(places))
