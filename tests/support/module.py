"""Runs a module as Ansible does on a host: a process that reads its arguments and writes its answer."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MODULES = Path(__file__).parents[2] / "plugins/modules"


def run_module(name: str, arguments: Mapping[str, object]) -> dict[str, Any]:
    """Run a module and return its answer, also after a failure."""
    done = subprocess.run(
        [sys.executable, MODULES / f"{name}.py"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        check=False,
        capture_output=True,
        text=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
