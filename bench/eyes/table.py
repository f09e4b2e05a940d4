"""The results in lines of text."""

import statistics
from collections.abc import Iterator

from bench.eyes.photos import KINDS, PhotoSet
from bench.eyes.results import Results
from bench.eyes.visits import Visits

PROGRAMS = {"homework": "homework", "face_app": "face-app"}


def table(results: Results) -> str:
    """All results, and the goals beside them."""
    parts = (_photos(results), _costs(results), _stages(results), _clips(results), _goals(results))
    return "\n\n".join("\n".join(part) for part in parts)


def _photos(results: Results) -> Iterator[str]:
    yield f"{'photos':<26}{'faces':>8}{'homework':>10}{'face-app':>10}{'ratio, 95 % interval':>24}"
    for name, photos in results.photos.items():
        for kind in KINDS:
            if faces := sum(photos.present[kind]):
                ratio, low, high = photos.ratio(kind)
                recalls = "".join(
                    f"{photos.recall(score, kind):>10.1%}" for score in (photos.homework, photos.face_app)
                )
                yield f"{name + ' recall ' + kind:<26}{faces:>8}{recalls}{f'{ratio:.2f} [{low:.2f}-{high:.2f}]':>24}"
        yield _precision(name, photos)


def _precision(name: str, photos: PhotoSet) -> str:
    both = (photos.homework, photos.face_app)
    false = " and ".join(f"{each.detections - each.matched} of {each.detections}" for each in both)
    precisions = "".join(f"{each.precision:>10.1%}" for each in both)
    return f"{name + ' precision':<34}{precisions}  not labelled: {false} boxes"


def _costs(results: Results) -> Iterator[str]:
    yield f"{'720p, CPU-ms a frame':<26}{'n':>8}{'homework':>22}{'face-app':>22}{'ratio':>8}{'starts, CPU-s':>16}"
    for kind, cost in results.costs.items():
        starts = "/".join(f"{statistics.median(each):.2f}" for each in (cost.homework_start, cost.face_app_start))
        columns = f"{spread(cost.homework, 1):>22}{spread(cost.face_app, 2):>22}{cost.ratio:>8.1f}{starts:>16}"
        yield f"{kind:<26}{len(cost.homework):>8}{columns}"
    for kind, own in results.own_rate.items():
        yield (
            f"{kind}, face-app at the clip's own rate, {own.seconds:.0f} s: {own.cpu_per_minute:.2f} CPU-s a minute, "
            f"peak {own.peak_bytes / 1e6:.0f} MB, took {own.taken:.1f} s"
        )


def _stages(results: Results) -> Iterator[str]:
    for program, name in PROGRAMS.items():
        stages = ", ".join(f"{stage} {spent:.3g}" for stage, spent in results.stages[program].items())
        yield f"stages, busy, CPU-ms a frame, {name}: {stages}"
    homework, face_app = (sum(results.stages[program].values()) for program in PROGRAMS)
    homework_rest, face_app_rest = (
        homework - results.stages["homework"]["decode"],
        face_app - results.stages["face_app"]["decode"],
    )
    yield (
        f"without decoding: homework {homework_rest:.1f}, face-app {face_app_rest:.2f}, "
        f"ratio {homework_rest / face_app_rest:.1f}; "
        f"with it the ratio cannot pass {homework / results.stages['face_app']['decode']:.1f}"
    )


def _clips(results: Results) -> Iterator[str]:
    yield (
        f"{'persons caught':<16}{'homework':>24}{'face-app':>24}{'shots':>12}{'a person':>14}{'wrong':>10}{'kB':>18}\n"
        f"{'':<16}" + f"{'counted':>12}{'all':>12}" * 2 + f"{'homework/face-app':>54}"
    )
    for name, (homework, face_app) in results.clips.items():
        yield _clip(name, homework, face_app)
    homework, face_app = results.total
    yield _clip("with persons", homework, face_app)
    visits = max(face_app.present_small, 1)
    yield (
        f"a visit: {homework.shots / visits:.1f} crops and {homework.size / visits / 1000:.1f} kB with the homework, "
        f"{face_app.shots / visits:.2f} shots and {face_app.size / visits / 1000:.2f} kB with face-app"
    )


def _clip(name: str, homework: Visits, face_app: Visits) -> str:
    persons = "".join(
        f"{f'{each.caught}/{each.present}':>12}{f'{each.caught_small}/{each.present_small}':>12}"
        for each in (homework, face_app)
    )
    return (
        f"{name:<16}{persons}{f'{homework.shots}/{face_app.shots}':>12}"
        f"{f'{homework.shots_per_person:.1f}/{face_app.shots_per_person:.2f}':>14}{f'{homework.wrong}/{face_app.wrong}':>10}"
        f"{f'{homework.size / 1000:.0f}/{face_app.size / 1000:.1f}':>18}"
    )


def _goals(results: Results) -> Iterator[str]:
    for goal in results.goals:
        outcome = "reached" if goal.reached else "NOT REACHED"
        yield f"{goal.name:<26}wanted {goal.wanted:<36}{goal.measured:<36}{outcome}"


def spread(values: list[float], digits: int) -> str:
    """The median, the least and the most."""
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"
