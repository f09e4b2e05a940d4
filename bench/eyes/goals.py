"""Goals of the vision pipeline, and whether a run reached them."""

from dataclasses import dataclass

from bench.eyes.cost import Cost
from bench.eyes.photos import PhotoSet
from bench.eyes.visits import Visits

RECALL_KIND = "bare >= 20 px"


@dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes:
        name: The measured value.
        wanted: In words.
        measured: In words.
        reached: Whether it was.
    """

    name: str
    wanted: str
    measured: str
    reached: bool


def byte_ratio(homework: Visits, face_app: Visits) -> float:
    """Ratio of bytes a visit, homework to face-app; the visits are the same."""
    return homework.size / max(face_app.size, 1)


def goals(photos: PhotoSet, costs: dict[str, Cost], doorway: Visits, homework: Visits, face_app: Visits) -> list[Goal]:
    """Compare the measurements with the goals.

    Args:
        photos: The street photos.
        costs: By clip: busy street and rooms, static.
        doorway: Visits of face-app in the doorway clip.
        homework: Visits of the homework over all clips with persons.
        face_app: Visits of face-app over the same.
    """
    ratio, low, high = photos.ratio(RECALL_KIND)
    precision, caught = photos.face_app.precision, face_app.caught / max(face_app.present, 1)
    size = byte_ratio(homework, face_app)
    street, rooms, static = (costs[kind].ratio for kind in ("street", "rooms", "static"))
    return [
        Goal("CPU a frame, busy street", ">= 30 times less", f"{street:.1f}", street >= 30),
        Goal("CPU a frame, busy rooms", ">= 30 times less", f"{rooms:.1f}", rooms >= 30),
        Goal("CPU a frame, static", ">= 50 times less", f"{static:.1f}", static >= 50),
        Goal(
            "recall in photos",
            ">= 3.5 times at precision >= 97 %",
            f"{ratio:.2f} [{low:.1f}-{high:.1f}] at {precision:.1%}",
            ratio >= 3.5 and precision >= 0.97,
        ),
        Goal("bytes a visit", ">= 150 times less", f"{size:.0f}", size >= 150),
        Goal(
            "doorway",
            "13 of 13, <= 15 shots, 0 wrong",
            f"{doorway.caught} of {doorway.present}, {doorway.shots} shots, {doorway.wrong} wrong",
            doorway.caught == doorway.present and doorway.shots <= 15 and not doorway.wrong,
        ),
        Goal("persons caught", ">= 95 %", f"{face_app.caught} of {face_app.present}, {caught:.1%}", caught >= 0.95),
        Goal("shots a person", "<= 1.3", f"{face_app.shots_per_person:.2f}", 0 < face_app.shots_per_person <= 1.3),
    ]
