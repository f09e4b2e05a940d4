"""Log in to a host anew, just as the play's own connection would, and tell what came of it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import connection_loader

# First named wins with ssh: no connection that stands already may answer for a new one. The level of the log is not
# handed on to the ssh to a jump host, so what is read below is about the host itself.
ANEW = "-o ControlMaster=no -o ControlPath=none -o LogLevel=DEBUG1 -o BatchMode=yes"
METHODS = {
    "key": "-o PreferredAuthentications=publickey -o PubkeyAuthentication=yes",
    "password": "-o PreferredAuthentications=password,keyboard-interactive -o PubkeyAuthentication=no"
    " -o PasswordAuthentication=yes -o KbdInteractiveAuthentication=yes",
}
IN = re.compile(r"^Authenticated to .* using ", re.MULTILINE)
KEY = re.compile(r"^debug1: Offering public key: ", re.MULTILINE)
OFFERED = re.compile(r"^debug1: Authentications that can continue: (\S+)", re.MULTILINE)
REFUSED = re.compile(
    r"Permission denied \(|Too many authentication failures|Host key verification failed", re.IGNORECASE
)
NOISE = re.compile(r"^(debug\d: |OpenSSH_|Authenticated to |Transferred: |Bytes per second: |\s*$)")


@dataclass(frozen=True)
class Attempt:
    """One try to log in.

    Attributes:
        rc: The command's exit code, 255 where there was no login.
        stdout: What the command wrote.
        stderr: What ssh said, and the command.
    """

    rc: int
    stdout: str
    stderr: str

    @property
    def settled(self) -> bool:
        """Whether the server has answered; it may be away for a moment while it reads its settings."""
        return bool(IN.search(self.stderr) or REFUSED.search(self.stderr))

    def tell(self) -> dict[str, Any]:
        offered = OFFERED.findall(self.stderr)
        words = [line.strip() for line in self.stderr.splitlines() if not NOISE.match(line)]
        return {
            "login": bool(IN.search(self.stderr)),
            "answered": self.settled,
            # Under the name of rc it would make the task fail.
            "code": self.rc,
            "stdout": self.stdout.strip(),
            "methods": offered[-1].split(",") if offered else [],
            "shown": len(KEY.findall(self.stderr)),
            "words": words[-1] if words else "",
        }


class ActionModule(ActionBase):
    """Runs one command over a connection of its own.

    Arguments of the task: ``user`` and ``port`` (default: the play's), ``by`` (``key`` or ``password``; no password is
    sent, the server tells whether it would take one), ``command`` (default: ``true``), ``timeout`` in seconds.

    Returns ``login``, ``answered``, ``code`` and ``stdout`` of the command, ``methods`` that the server would take,
    ``shown`` (how many keys it was shown), ``words`` (the last of ssh). It fails only where there is no ssh to try.
    """

    _VALID_ARGS = frozenset({"user", "port", "by", "command", "timeout"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        given = self._task.args
        transport = self._connection.transport
        if transport != "ssh":
            return result | {
                "failed": True,
                "msg": f"ansible_connection is {transport}; set it to ssh, or there is no login to try",
            }
        until = time.monotonic() + int(given.get("timeout", 20))
        command = str(given.get("command", "true"))
        attempt = self._try(command)
        while not attempt.settled and time.monotonic() < until:
            time.sleep(0.5)
            attempt = self._try(command)
        return result | {"changed": False} | attempt.tell()

    def _try(self, command: str) -> Attempt:
        given = self._task.args
        play = self._play_context.copy()
        play.password = None
        options = self._connection.get_options()
        options["ssh_args"] = " ".join([ANEW, METHODS[given.get("by", "key")], options["ssh_args"] or ""])
        options["remote_user"] = given.get("user") or options["remote_user"]
        options["port"] = int(given.get("port") or 0) or options["port"]
        # One task is one attempt, with keys alone.
        options |= {"password": None, "reconnection_retries": 0}
        connection = connection_loader.get("ssh", play, None)
        connection.set_options(direct=options)
        try:
            rc, stdout, stderr = connection.exec_command(command, sudoable=False)
        except AnsibleConnectionFailure as error:
            return Attempt(255, "", str(error))
        return Attempt(rc, stdout.decode(errors="replace"), stderr.decode(errors="replace"))
