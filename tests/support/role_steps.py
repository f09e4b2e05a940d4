"""Several applications of a role in one run of ansible-playbook, which saves the starts of Ansible."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
import yaml

from support.playbook import run_playbooks

Play = dict[str, Any]


@dataclass
class Step:
    """Results of the plays of one step, host by host and in order."""

    output: str
    hosts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def results(self) -> list[dict[str, Any]]:
        return [each for results in self.hosts.values() for each in results]

    @property
    def changed(self) -> int:
        return sum(bool(each.get("changed")) for each in self.results)

    @property
    def errors(self) -> list[str]:
        return [str(each["msg"]) for each in self.results if each.get("failed")]

    @property
    def messages(self) -> str:
        items = [item for each in self.results for item in [each, *each.get("results", [])]]
        return "\n".join(str(each["msg"]) for each in items if "msg" in each)


def task(module: str, arguments: object, **keywords: object) -> dict[str, Any]:
    return {f"ansible.builtin.{module}": arguments, **keywords}


def apply_role(hosts: str, role: str, *, tasks_from: str = "main", refused: bool = False, **keywords: object) -> Play:
    """Describe a play that applies a role, which may fail if it is refused."""
    tasks = [task("include_role", {"name": role, "tasks_from": tasks_from})]
    rescue = {"rescue": [task("debug", {"msg": "refused"})]} if refused else {}
    return {"hosts": hosts, "gather_facts": False, "tasks": [{"block": tasks, **rescue}], **keywords}


def needs_all_steps(request: pytest.FixtureRequest) -> bool:
    """Return whether a test of the full tier runs in this file; the others need a part of the steps."""
    return any(item.get_closest_marker("full") for item in request.session.items if item.path == request.path)


def run_steps(
    program: Path,
    inventory: Path,
    steps: Mapping[str, Sequence[Play]],
    options: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
) -> dict[str, Step]:
    """Run the plays of all steps; the run must succeed."""
    marks = {f"step {name}": name for name in steps}
    plays = []
    for mark, name in marks.items():
        plays += [{"hosts": "localhost", "gather_facts": False, "tasks": [task("debug", {"msg": mark})]}, *steps[name]]
    with NamedTemporaryFile("w", suffix=".yml") as playbook:
        yaml.safe_dump(plays, playbook)
        playbook.flush()
        played = run_playbooks(program, inventory, [Path(playbook.name)], options, environment, timeout=3600)
    assert played.rc == 0, played.output
    done: dict[str, Step] = {}
    for hosts in played.results:
        for host, result in hosts.items():
            if result.get("msg") in marks:
                step = done[marks[result["msg"]]] = Step(played.output)
            else:
                step.hosts.setdefault(host, []).append(result)
    return done
