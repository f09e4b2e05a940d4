"""Measures a second run and a redeployment after a change of one line, beside an earlier version, in one run.

Deploys the demonstration on this machine, both versions in each round: a run that replaces the containers of the other
version and may build images, a second run, and a redeployment.
Both versions share the secrets. At the end the demonstration is removed, and the images stay. Beside the seconds stand
the CPU seconds of Ansible and its modules, which a busy machine stretches less, and the load before each measurement.
The last line is JSON: all measurements, medians, and the ratios of this version to the earlier one.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHANGED = "src/face_app/edge/commands/capture.py"
"""The file that gets another comment before each redeployment."""
INVENTORY = "inventory/demo"


@dataclass(frozen=True)
class Run:
    """One run of a playbook, or the median of several."""

    seconds: float
    cpu: float
    """CPU seconds of Ansible and of its modules; those of the engine and of containers are not in it."""
    load: float
    """Load of the last minute when it began."""


def main() -> int:
    """Measure both versions and print the result."""
    parser = argparse.ArgumentParser(prog="bin/bench deploy", description=__doc__)
    parser.add_argument("--before", default="HEAD~1", metavar="REVISION", help="the earlier version (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind (%(default)s)")
    given = parser.parse_args()
    if _docker("ps", "--all", "--quiet", "--filter=label=face-app.settings"):
        print("this machine runs containers of face-app; remove them first (bin/demo down)", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="deploy-") as folder:
        secrets = Path(folder) / "secrets"
        secrets.mkdir(mode=0o700)
        trees = {name: _export(revision, Path(folder) / name) for name, revision in _revisions(given.before)}
        for tree in trees.values():
            (tree / INVENTORY / "secrets").symlink_to(secrets)
        measured: dict[str, dict[str, list[Run]]] = {name: {"second": [], "redeploy": []} for name in trees}
        try:
            for number in range(given.rounds):
                for name, tree in trees.items():
                    for kind, run in _measure(tree, number):
                        measured[name][kind].append(run)
                        print(name, kind, run, flush=True)
        finally:
            _play(trees["now"], "playbooks/teardown.yml", "-e", "teardown_purge=true", "-e", "teardown_images=false")
    print(json.dumps(_report(measured), default=asdict))
    return 0


def _report(measured: dict[str, dict[str, list[Run]]]) -> dict[str, object]:
    """Return all measurements, their medians, and the ratios of this version to the earlier one."""
    medians = {name: {kind: _median(runs) for kind, runs in each.items()} for name, each in measured.items()}
    ratios = {
        kind: {
            "seconds": round(now.seconds / medians["before"][kind].seconds, 2),
            "cpu": round(now.cpu / medians["before"][kind].cpu, 2),
        }
        for kind, now in medians["now"].items()
    }
    return {"measured": measured, "medians": medians, "ratios": ratios}


def _median(runs: Iterable[Run]) -> Run:
    columns = zip(*((run.seconds, run.cpu, run.load) for run in runs), strict=True)
    return Run(*(statistics.median(column) for column in columns))


def _revisions(before: str) -> list[tuple[str, str]]:
    """Return the versions by name; the files of this folder, committed or not, are the present one."""
    # With outdated times of files in the index, `git stash create` fails. This refresh fails if a file has changed.
    subprocess.run(["git", "update-index", "-q", "--refresh"], cwd=ROOT, check=False)
    # `git stash` makes a commit, which needs an author; a fresh clone may have none.
    stash = ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "stash", "create"]
    stashed = subprocess.run(stash, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [("before", before), ("now", stashed.strip() or "HEAD")]


def _export(revision: str, tree: Path) -> Path:
    """Write the files of a revision into a folder."""
    tree.mkdir()
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "--extract"], cwd=tree, check=True, input=archive)
    return tree


def _measure(tree: Path, number: int) -> Iterable[tuple[str, Run]]:
    """Deploy a version, and yield each further run with its kind."""
    _play(tree, "site.yml")
    yield "second", _play(tree, "site.yml")
    with (tree / CHANGED).open("a") as file:
        file.write(f"\n# {time.time_ns()} {number}\n")
    yield "redeploy", _play(tree, "redeploy.yml")


def _play(tree: Path, playbook: str, *options: str) -> Run:
    """Run a playbook that must succeed, and return what it took."""
    load, started, before = os.getloadavg()[0], time.monotonic(), _children_cpu()
    done = subprocess.run(
        ["ansible-playbook", "-i", INVENTORY, playbook, *options],
        cwd=tree,
        env=os.environ | {"ANSIBLE_CONFIG": str(tree / "ansible.cfg")},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{playbook} of {tree.name} failed:\n{done.stdout[-4000:]}{done.stderr[-1000:]}")
    return Run(round(time.monotonic() - started, 1), round(_children_cpu() - before, 1), round(load, 1))


def _children_cpu() -> float:
    """Return the CPU seconds of all processes that this one has waited for, and of their children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _docker(*arguments: str) -> str:
    program = shutil.which("docker") or "docker"
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
