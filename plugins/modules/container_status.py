#!/usr/bin/python
"""List the containers of face-app on a host, with image and health."""

# Runs on the host, whose Python may be 3.6.
import json
from typing import Any, Dict, List, Optional, Set

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.container_engine import (
    LABEL,
    OPTIONS_LABEL,
    PREVIOUS_LABEL,
    Container,
    Engine,
    EngineError,
    Health,
)

DOCUMENTATION = r"""
module: container_status
short_description: List the containers of face-app on a host, with image and health
description:
  - Runs the health checks of all containers side by side. Changes nothing.
options: {}
author:
  - The face-app authors
"""

EXAMPLES = r"""
- name: Read the health of each container
  container_status:
  register: status
"""

RETURN = r"""
containers:
  description:
    - For each container C(name), C(image), the C(previous) image, and C(since), the time of the start.
    - C(live), C(ready), C(reason), C(capabilities) and C(facts), as C(face-app health --json) prints them.
    - C(options), the digest of the options that it was created with, and its C(networks).
    - C(complete) is true if it is the outcome of a complete swap. Its tag still names its image, the engine restarts
      it, and there is no other version beside it.
  type: list
  returned: always
"""


def main() -> None:
    """List the containers and their health."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    if not module.get_bin_path("docker"):
        module.fail_json(msg="has no Docker: nothing was deployed here")
    engine = Engine(module)
    try:
        names = engine.run("ps", "--all", "--filter=label=" + LABEL, "--format={{.Names}}").split()
        statuses = _statuses(engine, sorted(names)) if names else []
    except EngineError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, containers=statuses)


def _statuses(engine: Engine, names: List[str]) -> List[Dict[str, Any]]:
    """Return the status of each container.

    Raises:
        EngineError: A container disappeared meanwhile, or the engine does not answer.
    """
    containers = json.loads(engine.run("container", "inspect", *names))
    listed = engine.run("image", "ls", "--no-trunc", "--format={{.Repository}}:{{.Tag}} {{.ID}}").splitlines()
    running = [each for each in containers if each["State"]["Running"]]
    checks = [(_name(each), each["Config"]["Healthcheck"]["Test"][1:]) for each in running]
    reports = [(name, program, program[:2] == ["face-app", "health"]) for name, program in checks]
    healths = dict(zip((name for name, _ in checks), engine.health_of_all(reports)))
    return [
        dict(_status(each, set(names), set(listed)), **_health(each, healths.get(_name(each)))) for each in containers
    ]


def _status(container: Container, names: Set[str], images: Set[str]) -> Dict[str, Any]:
    """Return what the engine knows of a container, from the names of all and the lines `TAG ID` of all images."""
    config, name = container["Config"], _name(container)
    policy = container["HostConfig"]["RestartPolicy"]["Name"]
    return {
        "name": name,
        "image": config["Image"],
        "previous": config["Labels"].get(PREVIOUS_LABEL, ""),
        "since": container["State"]["StartedAt"] if container["State"]["Running"] else "",
        "options": config["Labels"].get(OPTIONS_LABEL, ""),
        "networks": sorted(container["NetworkSettings"]["Networks"]),
        "complete": (
            policy == "unless-stopped"
            and not {name + ".next", name + ".previous"} & names
            and f"{config['Image']} {container['Image']}" in images
        ),
    }


def _health(container: Container, health: Optional[Health]) -> Dict[str, Any]:
    """Return the health of a container; none if it does not run."""
    if not health:
        reason = f"does not run; it ended with code {container['State']['ExitCode']}"
        return {"live": False, "ready": False, "reason": reason, "capabilities": [], "facts": {}}
    return dict(health._asdict(), capabilities=sorted(health.capabilities))


def _name(container: Container) -> str:
    """Return the name without the slash of the engine."""
    name: str = container["Name"].lstrip("/")
    return name


if __name__ == "__main__":
    main()
