#!/usr/bin/python
"""Replace a container by its successor, and roll back if the successor is less healthy."""

# Runs on the host, whose Python may be 3.6.
import shutil
import time
from pathlib import Path
from typing import Any, Dict, FrozenSet, NamedTuple, Optional, Set, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.container_engine import PREVIOUS_LABEL, Container, Engine, EngineError, Health

DOCUMENTATION = r"""
module: container_swap
short_description: Replace a container by its successor, and roll back if the successor is less healthy
description:
  - The successor is a container I(name).next that was created and never started. The running container is stopped and
    renamed to I(name).previous, and the successor is started as I(name). Once the successor is healthy, the old
    container is removed. Otherwise the successor is removed, the old container is started again, and the module fails
    with the reason.
  - The successor must be at least as healthy as the old container was - ready if that was ready, else live if that was
    live. It must have each of I(capabilities) that the old container had. A first container must be ready.
  - The image of the old container stays; the image before that is removed. So is the image of a failed successor.
  - After a power cut the engine starts the version that was healthy. A successor on trial has the restart policy C(no),
    and the stopped old container has C(always).
  - The next run completes an interrupted run. A container I(name) with the policy C(no) beside an I(name).previous is a
    successor that was never healthy.
options:
  name:
    description: Name of the container.
    type: str
    required: true
  successor:
    description: Whether there is a successor. If there is none, the module waits until I(name) is live.
    type: bool
    default: false
  health:
    description: Program and arguments that exit 0 inside the container while it is ready.
    type: list
    elements: str
    required: true
  capabilities:
    description:
      - Capabilities that the program can have, of C(frames), C(uplink), C(receipts), C(objects).
      - With any, I(health) is run with C(--json) and prints what C(face-app health --json) prints.
      - Without any, the exit code is the only result, and live means ready.
    type: list
    elements: str
    default: []
  wait:
    description: Seconds until the container must be healthy.
    type: int
    default: 60
  versions:
    description:
      - Folder with one folder for each version of the files that the container reads at its start. The version of the
        healthy container stays, the others are removed.
    type: path
author:
  - The face-app authors
"""

EXAMPLES = r"""
- name: Replace the container by its successor
  container_swap:
    name: face_app
    successor: true
    health: [face-app, health]
    capabilities: [frames, uplink, receipts]
"""

RETURN = r"""
image:
  description: Image of the container that runs now.
  type: str
  returned: after a swap
previous:
  description: Image of the old container.
  type: str
  returned: after a swap that replaced a container
required:
  description: Level and capabilities that the successor needed, such as C([ready, frames, uplink]).
  type: list
  returned: after a swap
gap:
  description: Seconds from the end of the old container until the successor was healthy.
  type: float
  returned: after a swap
"""

STABLE_SECONDS = 3
"""Seconds after which a healthy successor must still be healthy."""
ROLLBACK_SECONDS = 60
"""Minimum seconds that the old container has to be healthy again."""
POLL_SECONDS = 0.2
"""Seconds between two health checks of a container that runs."""
RESTART_SECONDS = 1
"""Seconds after the start of a container that had ended: what it needs may come meanwhile."""
MAX_FAILURES = 3
"""A container that ends with an error this many times is rejected."""


class Requirement(NamedTuple):
    """The level is `ready` or `live`."""

    level: str
    capabilities: FrozenSet[str]


class UnhealthyError(Exception):
    """Reports that a container is not healthy; the message gives the reason."""


class Swap:
    """Manages a container, its successor, and the old container."""

    def __init__(self, engine: Engine, parameters: Dict[str, Any]) -> None:
        self._engine = engine
        self._name = parameters["name"]
        self._next = f"{self._name}.next"
        self._previous = f"{self._name}.previous"
        self._program = parameters["health"]
        self._capabilities = frozenset(parameters["capabilities"])
        self._wait = parameters["wait"]
        self._versions = parameters["versions"]

    def wait_until_live(self) -> bool:
        """Wait until the container is live; return whether an interrupted run left containers, which are removed."""
        left = [name for name in (self._previous, self._next) if self._engine.inspect(name)]
        for name in left:
            self._engine.remove(name)
        if left:
            self._remove_versions()
        try:
            self._wait_for(Requirement("live", frozenset()))
        except UnhealthyError as error:
            raise UnhealthyError(self._describe("does not work", error)) from error
        return bool(left)

    def run(self) -> Dict[str, Any]:
        """Start the successor in place of the container, or roll back."""
        engine = self._engine
        new = engine.require(self._next)
        old, required = self._set_aside()
        stopped_at = time.monotonic()
        engine.run("rename", self._next, self._name)
        if not old:
            # After a power cut the engine has no other container to start.
            engine.run("update", "--restart=unless-stopped", self._name)
        try:
            gap = round(self._try(required) - stopped_at, 1)
        except (UnhealthyError, EngineError) as error:
            if old:
                raise self._roll_back(old, new, required.level, error) from error
            raise UnhealthyError(self._describe("does not work", error)) from error
        result = {
            "image": new["Config"]["Image"],
            "required": [required.level, *sorted(required.capabilities)],
            "gap": gap,
        }
        if not old:
            return result
        # From here on, the engine starts the new container, and no longer the old one.
        engine.run("update", "--restart=unless-stopped", self._name, self._previous)
        engine.run("rm", self._previous)
        self._remove_versions()
        self._remove_image(old["Config"]["Labels"].get(PREVIOUS_LABEL))
        return dict(result, previous=old["Config"]["Image"])

    def _set_aside(self) -> Tuple[Optional[Container], Requirement]:
        """Stop and rename the container; return it, with the requirement for its successor."""
        engine = self._engine
        current = engine.inspect(self._name)
        before = engine.inspect(self._previous)
        if current and before:
            # A run was interrupted. With a restart policy, its successor was healthy; without, it was not.
            if _restarts(current):
                engine.remove(self._previous)
                before = None
            else:
                engine.remove(self._name)
        name, old = (self._previous, before) if before else (self._name, current)
        if not old:
            return None, Requirement("ready", frozenset())
        health = self._health(name) if old["State"]["Running"] else None
        level = "live" if health and health.live and not health.ready else "ready"
        capabilities = health.capabilities & self._capabilities if health else frozenset()
        engine.run("update", "--restart=always", name)
        engine.stop(name)
        if name == self._name:
            engine.run("rename", name, self._previous)
        return old, Requirement(level, capabilities)

    def _try(self, required: Requirement) -> float:
        """Start the successor and check that it becomes and stays healthy; return the time at which it became healthy.

        Raises:
            UnhealthyError: The successor is not healthy.
            EngineError: The successor cannot be started.
        """
        self._engine.run("start", self._name)
        self._wait_for(required)
        healthy_at = time.monotonic()
        started_at = self._engine.require(self._name)["State"]["StartedAt"]
        time.sleep(STABLE_SECONDS)
        state = self._engine.require(self._name)["State"]
        health = self._health(self._name)
        if not getattr(health, required.level) or state["StartedAt"] != started_at:
            reason = health.reason or "it had ended and started again"
            raise UnhealthyError(f"it was {required.level}, and {STABLE_SECONDS} s later it was not: {reason}")
        return healthy_at

    def _wait_for(self, required: Requirement, wait: int = 0) -> None:
        """Wait until the container meets the requirement; start it again if it ended, as the engine would.

        Raises:
            UnhealthyError: The wait is too long, or the container ends too often.
        """
        wait = max(wait, self._wait)
        deadline = time.monotonic() + wait
        failures = 0
        missing = set(required.capabilities)
        while True:
            health = self._health(self._name)
            missing -= health.capabilities
            if getattr(health, required.level) and not missing:
                return
            container = self._engine.require(self._name)
            state = container["State"]
            late = time.monotonic() > deadline
            pause = POLL_SECONDS
            if not (state["Running"] or _restarts(container)):
                if state["ExitCode"] != 0:
                    failures += 1
                if failures >= MAX_FAILURES or (failures and late):
                    raise UnhealthyError(f"it ended by itself, with code {state['ExitCode']}")
                self._engine.run("start", self._name)
                pause = RESTART_SECONDS
            if late:
                raise UnhealthyError(f"after {wait} s {_shortfall(health, required.level, missing)}")
            time.sleep(pause)

    def _health(self, name: str) -> Health:
        return self._engine.health(name, self._program, reports=bool(self._capabilities))

    def _roll_back(self, old: Container, new: Container, level: str, problem: Exception) -> UnhealthyError:
        """Start the old container again and check that it reaches this level; return the error to raise."""
        engine = self._engine
        image = new["Config"]["Image"]
        previous = old["Config"]["Image"]
        version = image if image != previous else f"{image} with its new settings"
        message = self._describe(f"does not work as {version}", problem)
        try:
            engine.remove(self._name)
            engine.run("rename", self._previous, self._name)
            # In this order: the engine restarts a container that was stopped by hand only under `always`.
            engine.run("start", self._name)
            engine.run("update", "--restart=unless-stopped", self._name)
        except EngineError as error:
            return UnhealthyError(f"{message}. THE ROLLBACK TO {previous} FAILED: {error}. Run the playbook again.")
        self._remove_versions()
        self._remove_image(image)
        try:
            self._wait_for(Requirement(level, frozenset()), ROLLBACK_SECONDS)
        except (UnhealthyError, EngineError) as error:
            second = self._describe(f"is {previous} with its own settings again, and DOES NOT WORK EITHER", error)
            return UnhealthyError(f"{message}. {second}")
        return UnhealthyError(f"{message}. {previous} with its own settings runs again, and works.")

    def _describe(self, event: str, problem: Exception) -> str:
        """Return a message with the end of the container's log."""
        lines = self._engine.last_log_lines(self._name)
        return f"Container {self._name} {event}: {problem}. Its last log lines: {lines}"

    def _remove_versions(self) -> None:
        """Remove the copies of settings that the container does not mount."""
        if not self._versions or not Path(self._versions).is_dir():
            return
        mounted = [mount["Source"] for mount in self._engine.require(self._name)["Mounts"]]
        for version in Path(self._versions).iterdir():
            if str(version) not in mounted:
                shutil.rmtree(str(version))

    def _remove_image(self, image: Optional[str]) -> None:
        """Remove an image unless a container runs it, or names it as its previous image."""
        used = self._engine.run("ps", "--all", '--format={{.Image}} {{.Label "' + PREVIOUS_LABEL + '"}}').split()
        if image and image not in used:
            self._engine.attempt("image", "rm", image)


def _restarts(container: Container) -> bool:
    policy: str = container["HostConfig"]["RestartPolicy"]["Name"]
    return policy != "no"


def _shortfall(health: Health, level: str, missing: Set[str]) -> str:
    """Describe the level and the capabilities that a container lacks, with the reason."""
    parts = [] if getattr(health, level) else [f"it is not {level}"]
    if missing:
        parts.append(f"it lacks {', '.join(sorted(missing))}, which the version before had")
    facts = ", ".join(f"{name} {value}" for name, value in sorted(health.facts.items()))
    return f"{' and '.join(parts)}: {health.reason or facts or 'it gives no reason'}"


def main() -> None:
    """Swap the container, or wait until it is live."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "successor": {"type": "bool", "default": False},
            "health": {"type": "list", "elements": "str", "required": True},
            "capabilities": {"type": "list", "elements": "str", "default": []},
            "wait": {"type": "int", "default": 60},
            "versions": {"type": "path"},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    if module.check_mode:
        module.exit_json(changed=parameters["successor"])
    swap = Swap(Engine(module), parameters)
    try:
        if parameters["successor"]:
            module.exit_json(changed=True, **swap.run())
        module.exit_json(changed=swap.wait_until_live())
    except (UnhealthyError, EngineError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
