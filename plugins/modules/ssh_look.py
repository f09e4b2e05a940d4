#!/usr/bin/python
# Runs on the target: Python 3.6 must be able to read it.
"""See what sshd is, what it was told, and whether it would take it."""

import hashlib
import re
import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: ssh_look
short_description: What sshd on this host is, and what it was told
description:
  - Changes nothing, and runs in check mode too.
options:
  sshd:
    description: The program.
    type: path
    default: /usr/sbin/sshd
  main:
    description: Its main file of settings.
    type: path
    default: /etc/ssh/sshd_config
  host_keys:
    description: Private host keys to measure.
    type: list
    elements: path
    default: []
author:
  - The face-app authors
"""

EXAMPLES = r"""
- name: See what is there
  ssh_look:
    host_keys: [/etc/ssh/ssh_host_rsa_key]
  register: sshd
"""

RETURN = r"""
version:
  description: Of OpenSSH, such as C(9.2). Empty where there is none.
  type: str
  returned: always
algorithms:
  description: Key exchanges, ciphers and MACs that it was built with.
  type: list
  elements: str
  returned: always
refusal:
  description: What sshd says against its settings as they stand in the files; empty where it takes them.
  type: str
  returned: always
settings:
  description: The settings in the files as sshd understands them, in lower case, a keyword and its value each.
  type: list
  elements: str
  returned: always
text:
  description: The main file.
  type: str
  returned: always
service:
  description: Whether systemd runs an sshd that can be told to reload.
  type: bool
  returned: always
socket:
  description: Whether systemd holds sshd's port.
  type: bool
  returned: always
image:
  description:
    - Where the running sshd lies in memory, as a digest. It changes when sshd has begun anew, which is how it reloads.
      Empty where no sshd runs on its own.
  type: str
  returned: always
bits:
  description: Length of each host key; 0 for one that is not there.
  type: dict
  returned: always
"""


def run(*command):
    """Run a command to its end.

    Returns:
        Its exit code, its output and what it complained about.
    """
    try:
        done = subprocess.run(  # noqa: UP022, capture_output came with Python 3.7
            command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        return 127, "", str(error)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def version(sshd):
    # An sshd older than 9.2 does not know the option, and tells its version all the same.
    _, output, complaint = run(sshd, "-V")
    found = re.search(r"OpenSSH_([0-9]+\.[0-9]+)", output + complaint)
    return found.group(1) if found else ""


def algorithms():
    # The client's, which comes from the same build.
    return [name for kind in ("kex", "cipher", "mac") for name in run("ssh", "-Q", kind)[1].split()]


def is_active(unit):
    return run("systemctl", "is-active", unit)[1].strip() == "active"


def image(settings):
    file = next((line.split(None, 1)[1] for line in settings if line.startswith("pidfile ")), "none")
    try:
        process = int(Path(file).read_text())
        return hashlib.sha256(Path(f"/proc/{process}/auxv").read_bytes()).hexdigest()
    except (OSError, ValueError):
        return ""


def bits(path):
    if not Path(path).exists():
        return 0
    found = re.match(r"[0-9]+", run("ssh-keygen", "-l", "-f", path)[1])
    return int(found.group()) if found else 0


def main():
    module = AnsibleModule(
        argument_spec={
            "sshd": {"type": "path", "default": "/usr/sbin/sshd"},
            "main": {"type": "path", "default": "/etc/ssh/sshd_config"},
            "host_keys": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    given = module.params
    code, _, complaint = run(given["sshd"], "-t", "-f", given["main"])
    lines = run(given["sshd"], "-T", "-f", given["main"])[1].splitlines()
    text = Path(given["main"]).read_text(errors="replace") if Path(given["main"]).exists() else ""
    module.exit_json(
        changed=False,
        version=version(given["sshd"]),
        algorithms=algorithms(),
        refusal="; ".join(complaint.split("\n")).strip("; \r") or "no reason" if code else "",
        settings=[line.lower() for line in lines],
        text=text,
        service=is_active("ssh.service"),
        socket=is_active("ssh.socket"),
        image=image(lines),
        bits={path: bits(path) for path in given["host_keys"]},
    )


if __name__ == "__main__":
    main()
