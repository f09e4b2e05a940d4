"""The results in one picture."""

import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.eyes.photos import KINDS
from bench.eyes.programs import FACE_APP, HOMEWORK
from bench.eyes.results import Results
from bench.eyes.stages import ORDER

GREY, GREEN, INK, FAINT = "#9aa0a6", "#0b7a75", "#22262b", "#d9dcdf"
PROGRAMS = ((HOMEWORK.name, GREY, -0.2), (FACE_APP.name, GREEN, 0.2))

STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.edgecolor": INK,
    "text.color": INK,
}


def draw(results: Results, file: Path) -> None:
    """Draw all results.

    Args:
        results: Of a run.
        file: The PNG to write.
    """
    mpl.use("Agg")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(15, 8.5), layout="constrained", dpi=110)
        panels = figure.subplots(2, 3).flat
        for panel, part in zip(panels, (_recall, _cost, _stages, _persons, _burden, _goals), strict=True):
            part(panel, results)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2, frameon=False)
        figure.savefig(file)


def _both(by_program: dict[str, Any]) -> tuple[Any, Any]:
    return by_program[HOMEWORK.name], by_program[FACE_APP.name]


def _recall(panel: Axes, results: Results) -> None:
    photos = results.photos["fmd"]
    places = np.arange(len(KINDS))
    for (name, colour, aside), score in zip(PROGRAMS, _both(photos.scores), strict=True):
        recalls = [100 * (photos.recall(score, kind) or 0) for kind in KINDS]
        bars = panel.bar(places + aside, recalls, 0.38, color=colour, label=name)
        panel.bar_label(bars, fmt="%.0f")
    panel.set_xticks(places, [f"{kind}\n{sum(photos.present[kind])} faces" for kind in KINDS])
    panel.set_ylim(0, 105)
    precisions = " and ".join(f"{score.precision:.1%}" for score in _both(photos.scores))
    panel.set_title(f"Faces found in {photos.photos} street photos, %\n(precision as labelled: {precisions})")


def _cost(panel: Axes, results: Results) -> None:
    places = np.arange(len(results.costs))
    for name, colour, aside in PROGRAMS:
        rounds = [cost.frame[name] for cost in results.costs.values()]
        medians = [statistics.median(each) for each in rounds]
        reach = [[middle - min(each), max(each) - middle] for middle, each in zip(medians, rounds, strict=True)]
        bars = panel.bar(
            places + aside, medians, 0.38, color=colour, yerr=np.transpose(reach), error_kw={"ecolor": INK}, log=True
        )
        panel.bar_label(bars, fmt="%.3g", padding=2)
    panel.set_xticks(
        places, [f"{kind}\n{cost.ratio(HOMEWORK, FACE_APP):.0f} times less" for kind, cost in results.costs.items()]
    )
    panel.set_ylim(1, 1000)
    panel.set_title("CPU a frame, whole program, 720p and (shop) 1080p H.264,\nms (median; least and most)")


def _stages(panel: Axes, results: Results) -> None:
    names = [name for name in ORDER if any(name in stages for stages in results.stages.values())]
    places = np.arange(len(names))
    for (_, colour, aside), program in zip(PROGRAMS, ("homework", "face_app"), strict=True):
        spent = [results.stages[program].get(name, 0) for name in names]
        bars = panel.barh(places + aside, spent, 0.38, color=colour)
        panel.bar_label(bars, [f"{each:.3g}" if each else "" for each in spent], padding=2)
    panel.set_xscale("log")
    panel.set_xlim(0.001, 1000)
    panel.set_yticks(places, names)
    panel.invert_yaxis()
    panel.set_title("CPU a frame by stage, busy street, ms")


def _persons(panel: Axes, results: Results) -> None:
    clips = {name: both for name, both in results.clips.items() if both[0].present_small}
    places = np.arange(len(clips))
    panel.barh(places, [homework.present_small for homework, _ in clips.values()], 0.86, color=FAINT, label="present")
    for (_, colour, aside), number in zip(PROGRAMS, (0, 1), strict=True):
        panel.barh(places + aside, [both[number].caught_small for both in clips.values()], 0.38, color=colour)
    panel.set_yticks(places, clips)
    panel.invert_yaxis()
    homework, face_app = results.total
    panel.set_title(
        f"Persons caught of those present (light)\n({homework.caught} and {face_app.caught} of {face_app.present} "
        "whose face reaches 20 px)"
    )


def _burden(panel: Axes, results: Results) -> None:
    visits = max(results.total[0].present_small, 1)
    for (_, colour, aside), each in zip(PROGRAMS, results.total, strict=True):
        values = [each.shots / visits, each.size / visits / 1000, each.shots_per_person]
        bars = panel.bar(np.arange(3) + aside, values, 0.38, color=colour, log=True)
        panel.bar_label(bars, fmt="%.3g")
    panel.set_xticks(range(3), ["crops a visit", "kB a visit", "right crops\na person caught"])
    panel.set_title(f"Crops and bytes of {visits} visits")


def _goals(panel: Axes, results: Results) -> None:
    panel.axis("off")
    panel.set_title("Goals")
    for number, goal in enumerate(results.goals):
        y = 0.97 - number * 0.075
        panel.text(0, y, "●" if goal.reached else "○", color=GREEN if goal.reached else "#b3261e", size=14, va="center")
        panel.text(0.05, y, f"{goal.name}: {goal.measured}", va="center")
        panel.text(0.05, y - 0.03, f"wanted {goal.wanted}", va="center", color=GREY)
