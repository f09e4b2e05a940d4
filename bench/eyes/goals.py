"""What the project wants of its eyes, and whether it was reached."""

from dataclasses import dataclass

from bench.eyes.cost import Cost
from bench.eyes.photos import PhotoSet
from bench.eyes.visits import Visits

RECALL_KIND = "bare >= 20 px"


@dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes:
        name: What is measured.
        wanted: In words.
        measured: In words.
        reached: Whether it was.
    """

    name: str
    wanted: str
    measured: str
    reached: bool


def byte_ratio(seed: Visits, ours: Visits) -> float:
    """Bytes a visit, the write-up's beside ours; the visits are the same."""
    return seed.size / max(ours.size, 1)


def goals(photos: PhotoSet, costs: dict[str, Cost], doorway: Visits, seed: Visits, ours: Visits) -> list[Goal]:
    """Hold the figures against the goals.

    Args:
        photos: The street photos.
        costs: By clip: busy street and rooms, static.
        doorway: What we made of it.
        seed: The write-up's way over all clips with persons.
        ours: Ours over the same.
    """
    ratio, low, high = photos.ratio(RECALL_KIND)
    precision, caught = photos.ours.precision, ours.caught / max(ours.present, 1)
    size = byte_ratio(seed, ours)
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
        Goal("persons caught", ">= 95 %", f"{ours.caught} of {ours.present}, {caught:.1%}", caught >= 0.95),
        Goal("shots a person", "<= 1.3", f"{ours.shots_per_person:.2f}", 0 < ours.shots_per_person <= 1.3),
    ]
