"""Measures a second run and a redeployment after a change of one line, beside an earlier version, in one run.

Deploys the demonstration on this machine, each version in turn: a first run, which may build images, then second
runs, then redeployments.
Both versions share the secrets, so that they replace each other's containers. At the end the demonstration is
removed, and the images stay. The last line is JSON: seconds, medians, and the ratio of this version to the earlier one.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHANGED = "src/face_app/edge/commands/capture.py"
"""The file that gets another comment before each redeployment."""
INVENTORY = "inventory/demo"


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
        measured = {}
        trees = {name: _export(revision, Path(folder) / name) for name, revision in _revisions(given.before)}
        for tree in trees.values():
            (tree / INVENTORY / "secrets").symlink_to(secrets)
        try:
            for name, tree in trees.items():
                measured[name] = _measure(tree, given.rounds)
                print(name, measured[name], flush=True)
        finally:
            _play(trees["now"], "playbooks/teardown.yml", "-e", "teardown_purge=true", "-e", "teardown_images=false")
    medians = {
        name: {kind: statistics.median(times) for kind, times in each.items()} for name, each in measured.items()
    }
    ratios = {kind: round(medians["now"][kind] / medians["before"][kind], 2) for kind in medians["now"]}
    print(json.dumps({"seconds": measured, "medians": medians, "ratios": ratios}))
    return 0


def _revisions(before: str) -> list[tuple[str, str]]:
    """Return the versions by name; the files of this folder, committed or not, are the present one."""
    stashed = subprocess.run(["git", "stash", "create"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [("before", before), ("now", stashed.strip() or "HEAD")]


def _export(revision: str, tree: Path) -> Path:
    """Write the files of a revision into a folder."""
    tree.mkdir()
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "--extract"], cwd=tree, check=True, input=archive)
    return tree


def _measure(tree: Path, rounds: int) -> dict[str, list[float]]:
    """Deploy a version, and return the seconds of each further run."""
    first = _play(tree, "site.yml")
    second = [_play(tree, "site.yml") for _ in range(rounds)]
    redeployed = []
    for number in range(rounds):
        with (tree / CHANGED).open("a") as file:
            file.write(f"\n# {time.time_ns()} {number}\n")
        redeployed.append(_play(tree, "redeploy.yml"))
    return {"first": [first], "second": second, "redeploy": redeployed}


def _play(tree: Path, playbook: str, *options: str) -> float:
    """Run a playbook that must succeed, and return its seconds."""
    started = time.monotonic()
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
    return round(time.monotonic() - started, 1)


def _docker(*arguments: str) -> str:
    program = shutil.which("docker") or "docker"
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
