"""Run Docker commands for the modules that manage containers. Runs on the host, whose Python may be 3.6."""

import json
import subprocess
from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

from ansible.module_utils.basic import AnsibleModule

LABEL = "face-app.settings"
"""Label of the containers of face-app."""
PREVIOUS_LABEL = "face-app.previous"
"""Label with the image of the previous container."""
OPTIONS_LABEL = "face-app.options"
"""Label with the digest of all options of the role that created the container."""
HEALTH_SECONDS = 60
"""Maximum seconds for one health check; a program that hangs would never end it."""
STOP_SECONDS = 30
"""Seconds that a program has to end by itself; then Docker kills it."""
FORMER_NAMES = {"way": "uplink"}
"""Former names of capabilities, from programs that reported `unproven` instead of a list of capabilities."""

Container = Dict[str, Any]
"""The description of a container, as `docker container inspect` prints it."""


class Health(NamedTuple):
    """The health of a container, with the fields that `face-app health --json` prints."""

    live: bool
    ready: bool
    reason: str
    capabilities: FrozenSet[str]
    facts: Dict[str, Any]


class EngineError(Exception):
    """Reports that a Docker command failed; the message contains the output of the command."""


class Engine:
    """Runs Docker through its command line."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module

    def attempt(self, *arguments: str) -> None:
        """Run a Docker command and ignore its result."""
        self._module.run_command(["docker", *arguments])

    def run(self, *arguments: str) -> str:
        """Run a Docker command that must succeed, and return its standard output."""
        out: str
        code, out, err = self._module.run_command(["docker", *arguments])
        if code:
            raise EngineError(f"docker {arguments[0]}: {_one_line(err.strip() or out)}")
        return out

    def inspect(self, name: str) -> Optional[Container]:
        """Return the description of a container, or None if the container does not exist."""
        code, out, err = self._module.run_command(["docker", "container", "inspect", name])
        if code and "No such container" in err:
            return None
        if code:
            raise EngineError(f"docker inspect: {err.strip()}")
        container: Container = json.loads(out)[0]
        if LABEL not in (container["Config"]["Labels"] or {}):
            raise EngineError(f"container {name} is not one of face-app; remove or rename it (docker rename)")
        return container

    def require(self, name: str) -> Container:
        """Return the description of a container that must exist."""
        container = self.inspect(name)
        if not container:
            raise EngineError(f"there is no container {name}")
        return container

    def remove(self, name: str) -> None:
        """Stop a container and remove it."""
        self.stop(name)
        self.run("rm", name)

    def stop(self, name: str) -> None:
        """Stop a container; its program has time to end by itself."""
        self.run("stop", f"--time={STOP_SECONDS}", name)

    def health(self, name: str, program: Sequence[str], *, reports: bool) -> Health:
        """Run the health check of a container inside it.

        Args:
            name: Name of the container.
            program: The health check and its arguments; it exits 0 while the container is ready.
            reports: Whether the program prints its health as JSON with the option --json.
        """
        return _result(*self._module.run_command(_health_command(name, program, reports)))

    def health_of_all(self, checks: Sequence[Tuple[str, Sequence[str], bool]]) -> List[Health]:
        """Run the health checks of several containers side by side; each check has the arguments of `health`."""
        running = [
            subprocess.Popen(
                _health_command(*check), stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True
            )
            for check in checks
        ]
        printed = [process.communicate() for process in running]
        return [_result(process.returncode, out, err) for process, (out, err) in zip(running, printed)]

    def last_log_lines(self, name: str) -> str:
        """Return the end of a container's log in one line."""
        code, out, err = self._module.run_command(["docker", "logs", "--tail", "5", name])
        lines = [] if code else (out + err).strip().splitlines()
        return " / ".join(line.strip() for line in lines) or "none"


def _health_command(name: str, program: Sequence[str], reports: bool) -> List[str]:
    command = ["timeout", str(HEALTH_SECONDS), "docker", "exec", name, *program]
    return [*command, "--json"] if reports else command


def _result(code: int, out: str, err: str) -> Health:
    """Read the health from what a health check printed, or from its exit code."""
    try:
        return _read_health(json.JSONDecoder().raw_decode(out)[0])
    except (ValueError, KeyError, TypeError):
        reason = "" if code == 0 else _one_line(out + " " + err) or "it does not answer"
        return Health(live=code == 0, ready=code == 0, reason=reason, capabilities=frozenset(), facts={})


def _read_health(document: Dict[str, Any]) -> Health:
    """Read what a program prints, also in the former format with `problem`, `fault` and `unproven`."""
    if "unproven" not in document:
        return Health(
            document["live"],
            document["ready"],
            document["reason"],
            frozenset(document["capabilities"]),
            document["facts"],
        )
    # A program that did not answer had no facts, and an empty `unproven`.
    answered = bool(document["facts"])
    missing = {FORMER_NAMES.get(work, work) for work in document["unproven"]}
    every = frozenset(["frames", "uplink", "receipts", "objects"])
    return Health(
        live=answered and not document["fault"],
        ready=document["ready"],
        reason=document["fault"] or document["problem"],
        capabilities=every - missing if answered else frozenset(),
        facts=document["facts"],
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
