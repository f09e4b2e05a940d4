"""Runs ansible-playbook for the tests of roles: one inventory, and the results as JSON."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FIRST = Path(sys.executable).parent
"""Programs of the first ansible-core."""
SECOND = FIRST.parents[1] / ".venv-next/bin"
"""Programs of the second, which not every Python can have."""
ON_SECOND = (
    pytest.mark.full,
    pytest.mark.skipif(not (SECOND / "ansible-playbook").exists(), reason="no second ansible-core here"),
)
"""Marks of a test that the second ansible-core repeats."""
CORES = (pytest.param(FIRST, id="first core"), pytest.param(SECOND, id="second core", marks=ON_SECOND))
"""Parameters of a test that runs with both."""


@dataclass(frozen=True)
class Played:
    """A run that has ended, well or not.

    Attributes:
        rc: Its exit code.
        output: All that it wrote, standard output first.
        results: Of each task, in their order: the hosts' results by name.
        stats: The recap's counts, by host.
    """

    rc: int
    output: str
    results: list[dict[str, dict[str, Any]]]
    stats: dict[str, dict[str, int]]

    @property
    def errors(self) -> list[str]:
        """Messages of failed tasks, also of rescued ones."""
        found = [result for hosts in self.results for result in hosts.values()]
        return [str(each["msg"]) for each in found if each.get("failed") and not each.get("ignored")]

    @property
    def error(self) -> str:
        """The last of them; empty where nothing failed."""
        return self.errors[-1] if self.errors else ""


def run_playbooks(
    program: Path,
    inventory: Path,
    playbooks: Sequence[Path],
    options: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
    *,
    root: Path = ROOT,
    timeout: float = 900,
) -> Played:
    """Run playbooks one after the other, with the project's own settings of Ansible.

    Args:
        program: Which ansible-playbook.
        inventory: Its folder.
        playbooks: Their files.
        options: Further ones of ansible-playbook.
        environment: Variables to which those of this function are added.
        root: Of the project.
        timeout: Seconds they may take.
    """
    done = subprocess.run(
        [program, "-i", inventory, *options, *playbooks],
        check=False,
        capture_output=True,
        text=True,
        cwd=root,
        env={
            **environment,
            "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            # It may not be empty; this one writes one line after the JSON.
            "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.timer",
            "ANSIBLE_CACHE_PLUGIN": "memory",
        },
        timeout=timeout,
    )
    # Each playbook ends with a document; the last contains all results.
    *_, last = re.finditer(r"^\{$", done.stdout, re.MULTILINE)
    document, _ = json.JSONDecoder().raw_decode(done.stdout, last.start())
    results = [task["hosts"] for each in document["plays"] for task in each["tasks"]]
    return Played(done.returncode, done.stdout + done.stderr, results, document["stats"])
