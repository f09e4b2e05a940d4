"""The results in lines of text."""

import statistics
from collections.abc import Iterator

from bench.eyes import scores
from bench.eyes.photos import KINDS, PhotoSet
from bench.eyes.programs import FACE_APP, GRAB, HOMEWORK
from bench.eyes.results import Results

PROGRAMS = {"homework": "homework", "face_app": "face-app"}
"""The two programs whose stages are timed."""


def table(results: Results) -> str:
    """All results that there are, and the goals beside them."""
    parts = [list(_photos(results))] if results.photos else []
    parts += [list(scores.table(each)) for each in results.scores.values()]
    parts += [list(_costs(results))] if results.costs else []
    parts += [list(part(results)) for part in (_stages, _burden, _goals)] if results.stages else []
    return "\n\n".join("\n".join(part) for part in parts)


def _photos(results: Results) -> Iterator[str]:
    programs = list(next(iter(results.photos.values())).scores)
    yield f"{'photos':<28}{'faces':>8}" + "".join(f"{name:>10}" for name in programs) + "  ratio, 95 % interval"
    for name, photos in results.photos.items():
        for kind in KINDS:
            if faces := sum(photos.present[kind]):
                recalls = "".join(f"{photos.recall(photos.scores[each], kind):>10.1%}" for each in programs)
                yield f"{f'{name} recall {kind}':<28}{faces:>8}{recalls}  {_ratios(photos, kind)}"
        precisions = "".join(f"{photos.scores[each].precision:>10.1%}" for each in programs)
        yield f"{f'{name} precision':<36}{precisions}"
        for each, score in photos.scores.items():
            new = len(photos.new_false(FACE_APP.name, each))
            versus = "" if each == FACE_APP.name else f"; {FACE_APP.name} has {new} that this one has not"
            yield f"  not labelled, {each}: {score.detections - score.matched} of {score.detections} boxes{versus}"


def _ratios(photos: PhotoSet, kind: str) -> str:
    others = [name for name in photos.scores if name != FACE_APP.name]
    ratios = ((name, *photos.ratio(kind, FACE_APP.name, name)) for name in others)
    return ", ".join(f"to {name} {ratio:.2f} [{low:.2f}-{high:.2f}]" for name, ratio, low, high in ratios)


def _costs(results: Results) -> Iterator[str]:
    yield (
        f"{'CPU-ms a frame':<16}{'program':<12}{'n':>3}{'median, range':>24}"
        f"{'start, CPU-s':>14}{'to grab':>9}{'to homework':>12}"
    )
    for kind, cost in results.costs.items():
        for name, values in cost.frame.items():
            others = [each for each in (GRAB.name, HOMEWORK.name) if each in cost.frame]
            ratios = "".join(f"{cost.ratio_of(name, each):>{9 + 3 * number}.2f}" for number, each in enumerate(others))
            start = statistics.median(cost.start[name])
            yield f"{kind:<16}{name:<12}{len(values):>3}{spread(values, 2):>24}{start:>14.2f}{ratios}"
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


def _burden(results: Results) -> Iterator[str]:
    homework, face_app = results.total
    visits = max(face_app.present_small, 1)
    yield (
        f"a visit: {homework.shots / visits:.1f} crops and {homework.size / visits / 1000:.1f} kB with the homework, "
        f"{face_app.shots / visits:.2f} shots and {face_app.size / visits / 1000:.2f} kB with face-app"
    )


def _goals(results: Results) -> Iterator[str]:
    for goal in results.goals:
        outcome = "reached" if goal.reached else "NOT REACHED"
        yield f"{goal.name:<26}wanted {goal.wanted:<36}{goal.measured:<36}{outcome}"


def spread(values: list[float], digits: int) -> str:
    """The median, the least and the most."""
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"
