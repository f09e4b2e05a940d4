"""Run the steps of a tier, lanes side by side, and print a table of their seconds: bin/test [--fast | --all].

The output of a step goes to a log, and to the screen when the step fails.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / ".cache/test"
SECOND = ROOT / ".venv-next/bin"
PROGRAMS = ("bin/board", "bin/demo", "bin/rtsp-camera")
COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")
NO_TESTS = 5
"""Exit code of pytest where its arguments select nothing."""
APART = "vm or arm64 or host"
"""Markers of tests that no tier of this file runs: bin/test --vm, --arm64, --roles."""


@dataclass
class Step:
    """One command.

    Attributes:
        name: In the table, and of its log.
        command: What to run.
        selected: Whether the user's own arguments may leave no test in it.
        seconds: It took.
        code: Exit code; None where it has not ended.
        counts: Tests by outcome, of its closing line.
    """

    name: str
    command: Sequence[str | Path]
    selected: bool = False
    seconds: float = 0
    code: int | None = None
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return LOGS / f"{self.name.replace(' ', '-').replace(',', '')}.log"

    @property
    def passed(self) -> bool:
        return self.code == 0 or (self.code == NO_TESTS and self.selected)


class Runner:
    """Runs lanes of steps; the steps of a lane follow each other."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._interrupted = False
        self._began = time.monotonic()

    def run(self, lanes: Sequence[Sequence[Step]]) -> None:
        threads = [threading.Thread(target=self._lane, args=(lane,)) for lane in lanes]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            self._interrupt()
            for thread in threads:
                thread.join()
            raise

    def _lane(self, lane: Sequence[Step]) -> None:
        for step in lane:
            self._step(step)

    def _step(self, step: Step) -> None:
        began = time.monotonic()
        with step.log.open("wb") as output:
            with self._lock:
                if self._interrupted:
                    return
                # A group of its own: an interrupt reaches pytest and its workers once.
                process = subprocess.Popen(
                    step.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=ROOT,
                    start_new_session=True,
                )
                self._running.add(process)
            step.code = process.wait()
        step.seconds = time.monotonic() - began
        text = step.log.read_text(errors="replace").rstrip()
        closing = text.rpartition("\n")[2].strip("= ")
        step.counts = {name.rstrip("s"): int(number) for number, name in COUNT.findall(closing)}
        with self._lock:
            self._running.discard(process)
            if not step.passed:
                say(text)
            verdict = (closing if step.counts else "passed") if step.passed else f"FAILED; its log: {step.log}"
            say(f"\033[1m==>\033[0m [{time.monotonic() - self._began:4.0f} s] {step.name}: {verdict}")

    def _interrupt(self) -> None:
        with self._lock:
            self._interrupted = True
            for process in self._running:
                os.killpg(process.pid, signal.SIGINT)


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def exclude(what: str) -> None:
    say(f"\033[1m==>\033[0m excluded: {what}")


def lint() -> list[Step]:
    """Linters; the quick ones first."""
    playbooks = [*ROOT.glob("*.yml"), *ROOT.glob("playbooks/*.yml")]
    names = sorted(str(path.relative_to(ROOT)) for path in playbooks)
    cores = {"2.16": Path(sys.executable).parent, "2.19": SECOND}
    if not (SECOND / "ansible-playbook").exists():
        del cores["2.19"]
        exclude("the second ansible-core, which needs Python 3.11 or newer")
    return [
        Step("ruff", ("ruff", "check", ".", *PROGRAMS)),
        Step("ruff format", ("ruff", "format", "--check", "--quiet", ".", *PROGRAMS)),
        Step("mypy", ("mypy",)),
        Step("yamllint", ("yamllint", "--strict", ".")),
        *(
            Step(
                f"syntax of {inventory}, core {core}",
                (programs / "ansible-playbook", "-i", f"inventory/{inventory}", "--syntax-check", *names),
            )
            for core, programs in cores.items()
            for inventory in ("demo", "example")
        ),
        *(
            Step(
                f"tasks of an edge, core {core}",
                (programs / "ansible-playbook", "-i", "inventory/example", "edge.yml", "-l", "jetson", "--list-tasks"),
            )
            for core, programs in cores.items()
        ),
        Step("ansible-lint", ("ansible-lint", "--offline", "-q")),
    ]


def tests(name: str, markers: str, paths: Sequence[str], given: argparse.Namespace, *options: str) -> Step:
    """One run of pytest."""
    # A test that needs a machine or host of its own has no place in any step.
    select = f"({markers}) and not ({APART})" + ("" if given.all else " and not full")
    profile = ["--hypothesis-profile=full"] if given.all else []
    seed = f"--seed={given.seed}"
    command = ["pytest", "-m", select, seed, *options, *profile, *paths, *given.pytest]
    return Step(name, command, selected=bool(given.pytest))


def lanes(given: argparse.Namespace) -> list[list[Step]]:
    """The steps of a tier. What deploys containers of fixed names is one lane."""
    # Names of files or tests come instead of the steps' own.
    if any((ROOT / each.partition("::")[0]).exists() for each in given.pytest):
        return [lint(), [tests("tests", "not docker" if given.fast else "not vm", [], given)]]
    faults = ["tests/faults"]
    apart = [f"--ignore={path}" for path in faults]
    # In their own order, files that take long begin first; those with many tests come last and fill the workers.
    workers = ["-n", str(given.workers), "--dist", "loadfile", "--no-loadscope-reorder"]
    found = [
        lint(),
        [tests("unit and integration", "not docker", [WAITING, "tests"], given, *workers, *apart)],
        [tests("faults", "not docker", faults, given)],
    ]
    if not given.fast:
        scenarios = ["--core", "both"] if given.all else ["--molecule-only", SMOKE]
        found.append(
            [
                tests("deployment", "docker", [DEPLOYMENT], given),
                Step("molecule", (sys.executable, "tests/molecule/run.py", *scenarios)),
            ]
        )
    return found


DEPLOYMENT = "tests/e2e"
"""Folder of all tests marked docker; to collect the others for none of them takes seconds."""
WAITING = "tests/unit/edge/uplink"
"""Tests that wait for minutes of backoff: as the last ones they would run alone."""
SMOKE = "certificates"
"""The scenario that shows, in every run, that the scenarios can be run."""


def table(steps: Sequence[Step]) -> None:
    width = max(len(step.name) for step in steps)
    say(f"\n{'step':{width}}  seconds")
    for step in steps:
        say(f"{step.name:{width}}  {step.seconds:7.0f}{'' if step.passed else '  FAILED'}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/test", description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--fast", action="store_true", help="no Docker")
    parser.add_argument("--all", action="store_true", help="also the tests marked full, and every scenario")
    parser.add_argument("--workers", type=int, default=4, help="of unit and integration tests (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 10_000), help="of random faults")
    given, given.pytest = parser.parse_known_args()
    say(f"\033[1m==>\033[0m seed of random faults: {given.seed} (bin/test --seed {given.seed} repeats them)")
    LOGS.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    chosen = lanes(given)
    steps = [step for lane in chosen for step in lane]
    try:
        Runner().run(chosen)
    except KeyboardInterrupt:
        return 130
    table(steps)
    say(f"{'all':{max(len(step.name) for step in steps)}}  {time.monotonic() - began:7.0f}\n")
    total = {kind: sum(step.counts.get(kind, 0) for step in steps) for kind in ("passed", "failed", "error")}
    # A step that fails without a count of tests is one failure.
    others = sum(not step.passed and not {"failed", "error"} & step.counts.keys() for step in steps)
    failed = total["failed"] + total["error"] + others
    sys.stderr.flush()
    sys.stdout.write(f"{total['passed']} passed, {failed} failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
