"""Wait until a VM is ready and print each step of its provisioning: an action can print, a module cannot."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()


class ActionModule(ActionBase):
    """Runs the module once, then polls with it until the VM is ready."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        result: dict[str, Any] = self._execute_module(task_vars=task_vars)
        cancelled = self._task.args.get("state") == "absent"
        if result.get("failed") or result["ready"] or not result["id"] or self._task.check_mode or cancelled:
            return result
        # The module converts the options and knows their defaults.
        options = result["invocation"]["module_args"]
        start = time.monotonic()
        step = result["step"] or "no step yet"
        display.display(f"{result['fqdn']}: VM {result['id']}, {step}")
        while (left := start + options["wait_timeout"] - time.monotonic()) > 0:
            time.sleep(min(options["wait_interval"], left))
            arguments = self._task.args | {"id": result["id"]}
            poll: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
            if poll.get("ready"):
                return result | poll | {"changed": result["changed"]}
            # Report a failed poll as a step, because the API may answer the next poll.
            new_step = poll["msg"] if poll.get("failed") else poll["step"] or step
            if new_step != step:
                step = new_step
                display.display(f"{result['fqdn']}: {time.monotonic() - start:.0f} s, {step}")
        message = (
            f"{result['fqdn']} (VM {result['id']}) is not ready after {options['wait_timeout']} s, last step: {step};"
            " the VM is ordered and already costs money. Run again to wait longer, or raise wait_timeout"
        )
        return result | {"failed": True, "msg": message}
