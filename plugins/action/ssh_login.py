"""Opens a new ssh login to the host, with the settings of the play's own connection, and reports the result."""

from __future__ import annotations

import re
import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import connection_loader

# These options precede those of the play, because ssh uses the first value: it must not reuse an open connection.
NEW_CONNECTION = "-o ControlMaster=no -o ControlPath=none -o LogLevel=DEBUG1 -o BatchMode=yes"
METHOD_OPTIONS = {
    "key": "-o PreferredAuthentications=publickey -o PubkeyAuthentication=yes",
    "password": "-o PreferredAuthentications=password,keyboard-interactive -o PubkeyAuthentication=no"
    " -o PasswordAuthentication=yes -o KbdInteractiveAuthentication=yes",
}
LOGIN = re.compile(r"^Authenticated to .* using ", re.MULTILINE)
# A jump host's ssh writes to the same output, but does not inherit the log level. So each line of LogLevel=DEBUG1 is
# about the host itself; a refusal is not, unless the host's server was reached.
REACHED = re.compile(r"^debug1: Remote protocol version ", re.MULTILINE)
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
        "answered": login or bool(REACHED.search(stderr) and REFUSED.search(stderr)),
        # Not named rc: Ansible fails a task whose rc is not 0.
        "code": code,
        "stdout": stdout.strip(),
        "methods": accepted[-1].split(",") if accepted else [],
        "keys_offered": len(OFFERED_KEY.findall(stderr)),
        "message": messages[-1] if messages else "",
    }


class ActionModule(ActionBase):
    """Runs one command over a new connection.

    Arguments of the task:
        ``user``, ``port``: Default: the play's.
        ``by``: ``key`` (default) logs in. ``password`` sends no password and so never logs in with one; it only finds
            the methods that the server accepts.
        ``command``: Default: ``true``.
        ``timeout``: Seconds to retry until the server answers; default: 20.

    Returns:
        ``login``: True if the server accepted the login.
        ``answered``: True if the server accepted or refused the login; False if it, or a jump host, was not reached.
        ``code``, ``stdout``: Result of the command.
        ``methods``: Methods that the server accepts.
        ``keys_offered``: Number of keys that ssh offered.
        ``message``: Last line of ssh.

    Fails only if the connection is not ssh, or ``by`` is unknown.
    """

    _VALID_ARGS = frozenset({"user", "port", "by", "command", "timeout"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        outcome: dict[str, Any] = super().run(tmp, task_vars) | {"changed": False}
        transport = self._connection.transport
        if transport != "ssh":
            message = f"ansible_connection is {transport}; set it to ssh, so that a login can be verified"
            return outcome | {"failed": True, "msg": message}
        by = self._task.args.get("by", "key")
        if by not in METHOD_OPTIONS:
            return outcome | {"failed": True, "msg": f"by is {by}; set it to {' or '.join(METHOD_OPTIONS)}"}
        deadline = time.monotonic() + int(self._task.args.get("timeout", 20))
        # sshd does not listen for a moment while it reloads.
        while not (attempt := self._attempt(by))["answered"] and time.monotonic() < deadline:
            time.sleep(0.5)
        return outcome | attempt

    def _attempt(self, by: str) -> dict[str, Any]:
        arguments = self._task.args
        context = self._play_context.copy()
        context.password = None
        options = self._connection.get_options()
        options["ssh_args"] = " ".join([NEW_CONNECTION, METHOD_OPTIONS[by], options["ssh_args"] or ""])
        options["remote_user"] = arguments.get("user") or options["remote_user"]
        options["port"] = int(arguments.get("port") or 0) or options["port"]
        # One attempt, without a password.
        options |= {"password": None, "reconnection_retries": 0}
        connection = connection_loader.get("ssh", context, None)
        connection.set_options(direct=options)
        try:
            code, stdout, stderr = connection.exec_command(str(arguments.get("command", "true")), sudoable=False)
        except AnsibleConnectionFailure as error:
            return result(255, "", str(error))
        return result(code, stdout.decode(errors="replace"), stderr.decode(errors="replace"))
