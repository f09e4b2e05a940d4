"""Opens a new ssh login to the host, with the settings of the play's own connection, and reports the result."""

from __future__ import annotations

import re
import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import connection_loader

# These options come first, because ssh uses the first value: an open connection must not answer for a new one.
# A jump host's ssh does not inherit the log level, so the patterns below match only lines about the host itself.
NEW_CONNECTION = "-o ControlMaster=no -o ControlPath=none -o LogLevel=DEBUG1 -o BatchMode=yes"
METHOD_OPTIONS = {
    "key": "-o PreferredAuthentications=publickey -o PubkeyAuthentication=yes",
    "password": "-o PreferredAuthentications=password,keyboard-interactive -o PubkeyAuthentication=no"
    " -o PasswordAuthentication=yes -o KbdInteractiveAuthentication=yes",
}
LOGIN = re.compile(r"^Authenticated to .* using ", re.MULTILINE)
REFUSED = re.compile(
    r"Permission denied \(|Too many authentication failures|Host key verification failed", re.IGNORECASE
)
OFFERED_KEY = re.compile(r"^debug1: Offering public key: ", re.MULTILINE)
ACCEPTED_METHODS = re.compile(r"^debug1: Authentications that can continue: (\S+)", re.MULTILINE)
NOISE = re.compile(r"^(debug\d: |OpenSSH_|Authenticated to |Transferred: |Bytes per second: |\s*$)")


def result(code: int, stdout: str, stderr: str) -> dict[str, Any]:
    """Return the result of the task from the output of ssh."""
    login = bool(LOGIN.search(stderr))
    accepted = ACCEPTED_METHODS.findall(stderr)
    messages = [line.strip() for line in stderr.splitlines() if not NOISE.match(line)]
    return {
        "login": login,
        "answered": login or bool(REFUSED.search(stderr)),
        # Not named rc: Ansible fails a task whose rc is not 0.
        "code": code,
        "stdout": stdout.strip(),
        "methods": accepted[-1].split(",") if accepted else [],
        "keys_offered": len(OFFERED_KEY.findall(stderr)),
        "message": messages[-1] if messages else "",
    }


class ActionModule(ActionBase):
    """Runs one command over a new connection.

    Arguments of the task: ``user`` and ``port`` (default: the play's), ``by`` (``key`` or ``password``; the attempt
    sends no password, the server lists the methods that it accepts), ``command`` (default: ``true``), ``timeout`` in
    seconds.

    Returns ``login``, ``answered`` (the server accepted or refused), ``code`` and ``stdout`` of the command,
    ``methods`` that the server accepts, ``keys_offered``, ``message`` (the last line of ssh). Fails only if the
    connection is not ssh.
    """

    _VALID_ARGS = frozenset({"user", "port", "by", "command", "timeout"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        outcome: dict[str, Any] = super().run(tmp, task_vars) | {"changed": False}
        transport = self._connection.transport
        if transport != "ssh":
            message = f"ansible_connection is {transport}; set it to ssh, so that a login can be verified"
            return outcome | {"failed": True, "msg": message}
        deadline = time.monotonic() + int(self._task.args.get("timeout", 20))
        # sshd does not listen for a moment while it reloads.
        while not (attempt := self._attempt())["answered"] and time.monotonic() < deadline:
            time.sleep(0.5)
        return outcome | attempt

    def _attempt(self) -> dict[str, Any]:
        arguments = self._task.args
        play = self._play_context.copy()
        play.password = None
        options = self._connection.get_options()
        options["ssh_args"] = " ".join(
            [NEW_CONNECTION, METHOD_OPTIONS[arguments.get("by", "key")], options["ssh_args"] or ""]
        )
        options["remote_user"] = arguments.get("user") or options["remote_user"]
        options["port"] = int(arguments.get("port") or 0) or options["port"]
        # One attempt, without a password.
        options |= {"password": None, "reconnection_retries": 0}
        connection = connection_loader.get("ssh", play, None)
        connection.set_options(direct=options)
        try:
            code, stdout, stderr = connection.exec_command(str(arguments.get("command", "true")), sudoable=False)
        except AnsibleConnectionFailure as error:
            return result(255, "", str(error))
        return result(code, stdout.decode(errors="replace"), stderr.decode(errors="replace"))
