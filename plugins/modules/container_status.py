#!/usr/bin/python
"""List the containers of face-app on a host, with image and health."""

# Runs on the host, whose Python may be 3.6.
from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.container_engine import LABEL, PREVIOUS_LABEL, Engine, EngineError

DOCUMENTATION = r"""
module: container_status
short_description: List the containers of face-app on a host, with image and health
description:
  - Runs the health check of each container. Changes nothing.
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
    - Of each its C(name), C(image), the C(previous) image, and C(since) when it runs.
    - C(live), C(ready), C(reason), C(capabilities) and C(facts), as C(face-app health --json) prints them.
  type: list
  returned: always
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    if not module.get_bin_path("docker"):
        module.fail_json(msg="has no Docker: nothing was deployed here")
    engine = Engine(module)
    try:
        names = engine.run("ps", "--all", "--filter=label=" + LABEL, "--format={{.Names}}").split()
        containers = [_status(engine, name) for name in sorted(names)]
    except EngineError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, containers=containers)


def _status(engine: Engine, name: str) -> Dict[str, Any]:
    container = engine.require(name)
    state = container["State"]
    status = {
        "name": name,
        "image": container["Config"]["Image"],
        "previous": container["Config"]["Labels"].get(PREVIOUS_LABEL, ""),
        "since": state["StartedAt"] if state["Running"] else "",
    }
    if not state["Running"]:
        reason = f"does not run; it ended with code {state['ExitCode']}"
        return dict(status, live=False, ready=False, reason=reason, capabilities=[], facts={})
    program = container["Config"]["Healthcheck"]["Test"][1:]
    health = engine.health(name, program, reports=program[:2] == ["face-app", "health"])
    return dict(
        status,
        live=health.live,
        ready=health.ready,
        reason=health.reason,
        capabilities=sorted(health.capabilities),
        facts=health.facts,
    )


if __name__ == "__main__":
    main()
