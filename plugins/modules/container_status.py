#!/usr/bin/python
"""Tell which containers of face-app a host has, from which image, and whether each does its work."""

# Runs on the host, whose Python may be 3.6.
import json

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.container_engine import LABEL, PREVIOUS_LABEL, Engine, EngineError

DOCUMENTATION = r"""
module: container_status
short_description: Tell which containers of face-app a host has, and how each is
description:
  - Asks each container its own health check. Changes nothing.
options: {}
author:
  - The face-app authors
"""

EXAMPLES = r"""
- name: Ask each container how it is
  container_status:
  register: status
"""

RETURN = r"""
containers:
  description: Of each its C(name), C(image), the C(previous) image, C(since) when it runs, C(problem), C(facts).
  type: list
  returned: always
"""


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    if not module.get_bin_path("docker"):
        module.fail_json(msg="has no Docker: nothing was deployed here")
    engine = Engine(module)
    try:
        names = engine.do("ps", "--all", "--filter=label=" + LABEL, "--format={{.Names}}").split()
        found = [_status(engine, name) for name in sorted(names)]
    except EngineError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, containers=found)


def _status(engine, name):
    found = engine.look(name)
    state = found["State"]
    problem, facts = "", {}
    if not state["Running"]:
        problem = f"does not run; it ended with code {state['ExitCode']}"
    else:
        health = found["Config"]["Healthcheck"]["Test"][1:]
        works, said = engine.answer(name, health)
        problem = "" if works else said or "does not answer"
        if health[:2] == ["face-app", "health"]:
            facts = _facts(engine.answer(name, [*health, "--json"])[1])
    return {
        "name": name,
        "image": found["Config"]["Image"],
        "previous": found["Config"]["Labels"].get(PREVIOUS_LABEL, ""),
        "since": state["StartedAt"] if state["Running"] else "",
        "problem": problem,
        "facts": facts,
    }


def _facts(said):
    """What the program knows, as far as it can be read."""
    try:
        facts, _ = json.JSONDecoder().raw_decode(said)
        return facts["facts"]
    except (ValueError, KeyError, TypeError):
        return {}


if __name__ == "__main__":
    main()
