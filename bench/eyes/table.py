"""The results in lines of text."""

import statistics
from collections.abc import Iterator

from bench.eyes.photos import KINDS, PhotoSet
from bench.eyes.results import Results
from bench.eyes.visits import Visits

WAYS = {"seed": "write-up", "ours": "ours"}


def table(results: Results) -> str:
    """All results, and the goals beside them."""
    parts = (_photos(results), _costs(results), _stages(results), _clips(results), _goals(results))
    return "\n\n".join("\n".join(part) for part in parts)


def _photos(results: Results) -> Iterator[str]:
    yield f"{'photos':<26}{'faces':>8}{'write-up':>10}{'ours':>10}{'ratio, 95 % interval':>24}"
    for name, photos in results.photos.items():
        for kind in KINDS:
            if faces := sum(photos.present[kind]):
                ratio, low, high = photos.ratio(kind)
                recalls = "".join(f"{photos.recall(score, kind):>10.1%}" for score in (photos.seed, photos.ours))
                yield f"{name + ' recall ' + kind:<26}{faces:>8}{recalls}{f'{ratio:.2f} [{low:.2f}-{high:.2f}]':>24}"
        yield _precision(name, photos)


def _precision(name: str, photos: PhotoSet) -> str:
    both = (photos.seed, photos.ours)
    false = " and ".join(f"{each.detections - each.matched} of {each.detections}" for each in both)
    precisions = "".join(f"{each.precision:>10.1%}" for each in both)
    return f"{name + ' precision':<34}{precisions}  not labelled: {false} boxes"


def _costs(results: Results) -> Iterator[str]:
    yield f"{'720p, CPU-ms a frame':<26}{'n':>8}{'write-up':>22}{'ours':>22}{'ratio':>8}{'starts, CPU-s':>16}"
    for kind, cost in results.costs.items():
        starts = "/".join(f"{statistics.median(each):.2f}" for each in (cost.seed_start, cost.ours_start))
        columns = f"{spread(cost.seed, 1):>22}{spread(cost.ours, 2):>22}{cost.ratio:>8.1f}{starts:>16}"
        yield f"{kind:<26}{len(cost.seed):>8}{columns}"
    for kind, own in results.own_rate.items():
        yield (
            f"{kind}, ours at the clip's own rate, {own.seconds:.0f} s: {own.cpu_per_minute:.2f} CPU-s a minute, "
            f"peak {own.peak_bytes / 1e6:.0f} MB, took {own.taken:.1f} s"
        )


def _stages(results: Results) -> Iterator[str]:
    for way, name in WAYS.items():
        stages = ", ".join(f"{stage} {spent:.3g}" for stage, spent in results.stages[way].items())
        yield f"stages, busy, CPU-ms a frame, {name}: {stages}"
    seed, ours = (sum(results.stages[way].values()) for way in WAYS)
    seed_rest, ours_rest = seed - results.stages["seed"]["decode"], ours - results.stages["ours"]["decode"]
    yield (
        f"without decoding: write-up {seed_rest:.1f}, ours {ours_rest:.2f}, ratio {seed_rest / ours_rest:.1f}; "
        f"with it the ratio cannot pass {seed / results.stages['ours']['decode']:.1f}"
    )


def _clips(results: Results) -> Iterator[str]:
    yield (
        f"{'persons caught':<16}{'write-up':>24}{'ours':>24}{'shots':>12}{'a person':>14}{'wrong':>10}{'kB':>18}\n"
        f"{'':<16}" + f"{'counted':>12}{'all':>12}" * 2 + f"{'write-up/ours':>54}"
    )
    for name, (seed, ours) in results.clips.items():
        yield _clip(name, seed, ours)
    seed, ours = results.total
    yield _clip("with persons", seed, ours)
    visits = max(ours.present_small, 1)
    yield (
        f"a visit: {seed.shots / visits:.1f} crops and {seed.size / visits / 1000:.1f} kB the write-up's way, "
        f"{ours.shots / visits:.2f} shots and {ours.size / visits / 1000:.2f} kB ours"
    )


def _clip(name: str, seed: Visits, ours: Visits) -> str:
    persons = "".join(
        f"{f'{each.caught}/{each.present}':>12}{f'{each.caught_small}/{each.present_small}':>12}"
        for each in (seed, ours)
    )
    return (
        f"{name:<16}{persons}{f'{seed.shots}/{ours.shots}':>12}"
        f"{f'{seed.shots_per_person:.1f}/{ours.shots_per_person:.2f}':>14}{f'{seed.wrong}/{ours.wrong}':>10}"
        f"{f'{seed.size / 1000:.0f}/{ours.size / 1000:.1f}':>18}"
    )


def _goals(results: Results) -> Iterator[str]:
    for goal in results.goals:
        verdict = "reached" if goal.reached else "NOT REACHED"
        yield f"{goal.name:<26}wanted {goal.wanted:<36}{goal.measured:<36}{verdict}"


def spread(values: list[float], digits: int) -> str:
    """The median, the least and the most."""
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"
