"""Run the scenarios of roles, and that of the whole site, and print the time of each step: bin/test --roles [NAME ...]

Each step of molecule is a line of the table; check mode on a host that has all must also change nothing, which molecule
itself does not ask for. Progress goes to standard error, the table to standard output.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / ".cache/molecule/logs"
CLIPS = ".cache/media/clips"
CORES = {"2.16": ROOT / ".venv/bin", "2.19": ROOT / ".venv-next/bin"}
# What a step is called in the table, and molecule's name of it.
STEPS = {
    "create": "create",
    "prepare": "prepare",
    "check fresh": "check",
    "converge": "converge",
    "idempotence": "idempotence",
    "check again": "check",
    "verify": "verify",
}
# What a scenario cannot say, such as each way to be locked out, pytest does; those tests take both cores themselves.
TESTS = "tests"
TESTED_AS = {"container": ("redeploy", "roll_out"), "site": ("recipes",)}
SHOWN = ("check fresh", "converge", "idempotence", "check again", "verify", TESTS)
CHANGED = re.compile(r"changed=(?!0\b)\d+")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Outcome:
    """What became of one scenario under one ansible-core.

    Attributes:
        name: Of the role, or ``site``.
        core: Version of ansible-core, two parts of it.
        seconds: By step, of those that went well.
        failed: The step that did not; empty where all did.
    """

    name: str
    core: str
    seconds: dict[str, float] = field(default_factory=dict)
    failed: str = ""


def scenarios() -> dict[str, tuple[Path, str]]:
    """Where each scenario is run from, and its name there."""
    found = {}
    for path in sorted(ROOT.glob("roles/*/molecule/*/molecule.yml")):
        role, scenario = path.parents[2], path.parent.name
        found[role.name if scenario == "default" else f"{role.name}-{scenario}"] = (role, scenario)
    sites = sorted(path.parent.name for path in ROOT.glob("tests/molecule/*/molecule.yml"))
    return found | {site: (ROOT / "tests", site) for site in sites}


def impossible(name: str, core: str) -> str:
    """Why a scenario cannot run here under an ansible-core; empty: it can."""
    if name != "python36":
        return ""
    if core != "2.16":
        return "ansible-core 2.16 is the last for hosts with Python 3.6"
    found = subprocess.run([ROOT / "tests/molecule/python36/find.sh"], check=False, capture_output=True, text=True)
    return found.stderr.strip()


def plays_clips(name: str) -> bool:
    """Whether the camera of a scenario plays the demo's clips."""
    folder, scenario = scenarios()[name]
    return CLIPS in (folder / "molecule" / scenario / "molecule.yml").read_text()


def play(outcome: Outcome, *, keep: bool) -> None:
    """Run the steps of one scenario until one fails."""
    log = LOGS / f"{outcome.name}-{outcome.core}.log"
    log.unlink(missing_ok=True)
    molecule(outcome, "destroy", log)
    for step, command in STEPS.items():
        began = time.monotonic()
        good, said = molecule(outcome, command, log)
        if step == "check again":
            good = good and not CHANGED.search(COLOUR.sub("", said))
        took = time.monotonic() - began
        sys.stderr.write(f"    {step}: {'' if good else 'FAILED after '}{took:.0f} s\n")
        if not good:
            outcome.failed = step
            sys.stderr.write(f"    its log: {log.relative_to(ROOT)}\n")
            break
        outcome.seconds[step] = took
    if not keep:
        molecule(outcome, "destroy", log)


def tests_of(name: str) -> list[Path]:
    """Return the files of tests that want a host of their own, for a scenario."""
    files = [ROOT / f"tests/roles/test_{each}.py" for each in TESTED_AS.get(name, (name,))]
    return [file for file in files if file.exists() and "pytest.mark.host" in file.read_text()]


def test(outcome: Outcome) -> None:
    """Run the tests that belong to a scenario."""
    files = tests_of(outcome.name)
    if not files:
        return
    began = time.monotonic()
    log = LOGS / f"{outcome.name}-tests.log"
    done = subprocess.run(["pytest", "-m", "host", *files], check=False, capture_output=True, text=True, cwd=ROOT)
    log.write_text(done.stdout + done.stderr)
    took = time.monotonic() - began
    summary = done.stdout.rstrip().rpartition("\n")[2].strip("= ")
    sys.stderr.write(f"    {TESTS}: {summary}\n")
    if done.returncode:
        outcome.failed = TESTS
        sys.stderr.write(f"    its log: {log.relative_to(ROOT)}\n")
    else:
        outcome.seconds[TESTS] = took


def molecule(outcome: Outcome, command: str, log: Path) -> tuple[bool, str]:
    """Run one command of molecule; whether it went well, and what it said."""
    folder, scenario = scenarios()[outcome.name]
    done = subprocess.run(
        ["molecule", command, "--scenario-name", scenario],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PATH": f"{CORES[outcome.core]}:{os.environ['PATH']}"},
    )
    said = done.stdout + done.stderr
    with log.open("a") as file:
        file.write(said)
    return done.returncode == 0, said


def table(outcomes: list[Outcome]) -> Iterator[str]:
    """Lines of Markdown: a scenario under a core, and the seconds of each step."""
    yield f"| scenario | core | {' | '.join(SHOWN)} | all |"
    yield "|---" * (len(SHOWN) + 3) + "|"
    for each in outcomes:
        cells = [f"{each.seconds[step]:.0f}" if step in each.seconds else "-" for step in SHOWN]
        if each.failed in SHOWN:
            cells[SHOWN.index(each.failed)] = "FAILED"
        total = f"{sum(each.seconds.values()):.0f}" if not each.failed else f"FAILED in {each.failed}"
        yield f"| {each.name} | {each.core} | {' | '.join(cells)} | {total} |"


def main() -> int:
    known = scenarios()
    parser = argparse.ArgumentParser(prog="bin/test --roles", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; without, all of them")
    parser.add_argument("--core", choices=[*CORES, "both"], default="2.16", help="ansible-core (default: %(default)s)")
    parser.add_argument("--molecule-only", action="store_true", help="leave out the tests of roles that pytest runs")
    parser.add_argument("--keep", action="store_true", help="leave the hosts as they are at the end, to look at them")
    given = parser.parse_args()
    for name in given.names:
        if name not in known:
            parser.error(f"no scenario {name}; there are {', '.join(known)}")
    if not (ROOT / CLIPS).exists() and any(map(plays_clips, given.names or known)):
        parser.error(f"{CLIPS} is missing; bin/bootstrap fetches it")
    LOGS.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for core in CORES if given.core == "both" else [given.core]:
        for name in given.names or known:
            if why := impossible(name, core):
                sys.stderr.write(f"==> excluded: {name}, ansible-core {core}: {why}\n")
                continue
            sys.stderr.write(f"==> {name}, ansible-core {core}\n")
            outcomes.append(Outcome(name, core))
            play(outcomes[-1], keep=given.keep)
            if core == next(iter(CORES)) and not outcomes[-1].failed and not given.molecule_only:
                test(outcomes[-1])
    print("\n".join(table(outcomes)))
    failed = sum(bool(each.failed) for each in outcomes)
    print(f"\n{len(outcomes) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
