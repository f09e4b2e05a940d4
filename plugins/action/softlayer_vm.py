"""Wait for a VM, and show what is being done with it: a module is silent until its end."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()


class ActionModule(ActionBase):
    """Runs the module once, then looks with it until the VM is ready."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        result = self._execute_module(module_args=self._task.args, task_vars=task_vars)
        if result.get("failed") or result.get("ready") or not result.get("id") or self._task.check_mode:
            return result
        # The module has checked them, and knows their defaults.
        settings = result["invocation"]["module_args"]
        if settings["state"] == "absent" or not settings["wait_timeout"]:
            return result
        return self._wait(result, settings["wait_timeout"], settings["wait_interval"], task_vars)

    def _wait(
        self, result: dict[str, Any], seconds: int, interval: int, task_vars: dict[str, Any] | None
    ) -> dict[str, Any]:
        start = time.monotonic()
        told = step = result["step"] or "no step is named yet"
        display.display(f"{result['fqdn']}: VM {result['id']}, {step}")
        while time.monotonic() - start < seconds:
            time.sleep(max(0.0, min(interval, start + seconds - time.monotonic())))
            # By its id: were it gone, a look by name would order another one.
            look = self._execute_module(module_args=self._task.args | {"id": result["id"]}, task_vars=task_vars)
            if look.get("ready"):
                return result | look | {"changed": result["changed"]}
            # One look may fail; IBM may be back before the time is over.
            step = look["msg"] if look.get("failed") else look["step"] or told
            if step != told:
                display.display(f"{result['fqdn']}: {time.monotonic() - start:.0f} s, {step}")
                told = step
        return result | {
            "failed": True,
            "msg": f"{result['fqdn']} (VM {result['id']}) is not ready after {seconds} s, last step: {step};"
            " it is ordered and costs already. Run again to wait on, or set wait_timeout higher",
        }
