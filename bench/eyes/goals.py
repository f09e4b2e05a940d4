"""Goals of the vision pipeline, and whether a run reached them."""

from dataclasses import dataclass

from bench.eyes.cost import Cost
from bench.eyes.photos import PhotoSet
from bench.eyes.programs import FACE_APP, GRAB, HOMEWORK
from bench.eyes.scores import Score
from bench.eyes.truth import DOORWAY
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


def goals(
    photos: PhotoSet, costs: dict[str, Cost], scores: list[Score], homework: Visits, face_app: Visits
) -> list[Goal]:
    """Compare the measurements with the goals.

    Args:
        photos: The street photos.
        costs: By kind of clip.
        scores: Results of face-app by clip.
        homework: Visits of the homework over all clips with persons that it has processed to their end.
        face_app: Visits of face-app over the same.
    """
    ratio, low, high = photos.ratio(RECALL_KIND, FACE_APP.name, HOMEWORK.name)
    precision, caught = photos.scores[FACE_APP.name].precision, face_app.caught / max(face_app.present, 1)
    size = byte_ratio(homework, face_app)
    street, rooms, static = (costs[kind].ratio(HOMEWORK, FACE_APP) for kind in ("street", "rooms", "static"))
    busy, still = (costs[kind].ratio(FACE_APP, GRAB) for kind in ("shop", "shop_static"))
    visits = {each.clip: each.visits for each in scores}
    doorway, theatre, shop = (visits.get(name, Visits()) for name in (DOORWAY, "hamilton", "retail"))
    silent = sum(each.silent for each in visits.values())
    return [
        Goal("CPU a frame, busy street", ">= 30 times less", f"{street:.1f}", street >= 30),
        Goal("CPU a frame, busy rooms", ">= 30 times less", f"{rooms:.1f}", rooms >= 30),
        Goal("CPU a frame, static", ">= 50 times less", f"{static:.1f}", static >= 50),
        Goal("1080p, busy shop", "<= 1.5 times decoding", f"{busy:.2f}", busy <= 1.5),
        Goal("1080p, static", "<= 1.15 times decoding", f"{still:.2f}", still <= 1.15),
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
        *(
            Goal(name, f">= {least}, 0 wrong", f"{each.caught_small}, {each.wrong} wrong", reached)
            for name, least, each in (("theatre", 8, theatre), ("shop", 7, shop))
            for reached in [each.caught_small >= least and not each.wrong]
        ),
        Goal("visits without reason", "0", f"{silent}", not silent),
        Goal("persons caught", ">= 95 %", f"{face_app.caught} of {face_app.present}, {caught:.1%}", caught >= 0.95),
        Goal("shots a person", "<= 1.3", f"{face_app.shots_per_person:.2f}", 0 < face_app.shots_per_person <= 1.3),
    ]
