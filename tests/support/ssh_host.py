"""Runs a host with its own sshd in a container, and makes the folder of an operator who logs in to it."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from support.hosts import host
from support.playbook import FIRST, Played, run_playbooks

PASSWORD = "correct horse"


@dataclass
class SshHost:
    """Root may log in with the operator's key, and with PASSWORD where sshd lets him.

    Attributes:
        name: Of the container.
        address: Its own on Docker's network.
        home: The operator's folder: ``key``, ``known_hosts``, an inventory.
        variables: Of the host in the inventory.
    """

    name: str
    address: str
    home: Path
    variables: dict[str, Any] = field(default_factory=dict)

    def sh(self, script: str) -> str:
        """Run a script as root inside, past sshd."""
        done = subprocess.run(["docker", "exec", self.name, "bash", "-ec", script], check=True, capture_output=True)
        return done.stdout.decode()

    def ssh(self, user: str, *options: str, command: str = "true") -> "subprocess.CompletedProcess[str]":
        """Log in from a plain shell, with the operator's key."""
        known = f"UserKnownHostsFile={self.home}/known_hosts"
        key = ["-i", str(self.home / "key"), "-o", "IdentitiesOnly=yes"]
        plain = ["ssh", "-F", "none", "-o", known, "-o", "ConnectTimeout=10", *options, *key]
        return subprocess.run(
            [*plain, f"{user}@{self.address}", command],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "SSH_ASKPASS": str(self.home / "askpass"), "SSH_ASKPASS_REQUIRE": "force"},
            timeout=60,
        )

    def gets_in(self, user: str, *options: str, command: str = "true") -> bool:
        return self.ssh(user, "-o", "BatchMode=yes", *options, command=command).returncode == 0

    def gets_in_with_password(self, user: str, *options: str) -> bool:
        """Log in with the right password; sshd decides whether that is enough."""
        by = "PreferredAuthentications=password,keyboard-interactive"
        return self.ssh(user, "-o", by, "-o", "PubkeyAuthentication=no", *options).returncode == 0

    def state(self) -> str:
        """List all that sshd reads, with owners, modes and sums."""
        return self.sh(
            "cd /etc/ssh && find . -printf '%p %m %U %G %l\n' | sort && find . -type f | sort | xargs sha256sum"
        )

    def add_user(self, name: str) -> None:
        """Add a user with PASSWORD and the operator's key."""
        public = (self.home / "key.pub").read_text().strip()
        self.sh(
            f"useradd --create-home --shell /bin/bash {name} && echo '{name}:{PASSWORD}' | chpasswd &&"
            f" install -d -m 700 -o {name} ~{name}/.ssh && echo '{public}' > ~{name}/.ssh/authorized_keys &&"
            f" chown {name} ~{name}/.ssh/authorized_keys"
        )

    def reload(self) -> None:
        """Make sshd read what a test has written, and wait until it has."""
        address = "sha256sum < /proc/$(cat /run/sshd.pid)/auxv"
        reloaded = f'[ "$before" != "$({address})" ]'
        self.sh(f"before=$({address}); systemctl reload ssh; until {reloaded}; do sleep 0.2; done; sleep 0.5")

    def reboot(self) -> None:
        """Cut the power and start again; the host may get another address."""
        subprocess.run(["docker", "kill", self.name], check=True, capture_output=True)
        subprocess.run(["docker", "start", self.name], check=True, capture_output=True)
        former, self.address = self.address, address_of(self.name)
        known = self.home / "known_hosts"
        known.write_text(known.read_text().replace(former, self.address))
        assert wait_until(self.is_up)

    def is_up(self) -> bool:
        ask = ["docker", "exec", self.name, "systemctl", "is-active", "ssh.service"]
        return subprocess.run(ask, check=False, capture_output=True).returncode == 0

    def play(
        self, *options: str, tasks_from: str = "main", programs: Path = FIRST, also: object = None, **settings: object
    ) -> Played:
        """Run the role.

        Args:
            options: Of ansible-playbook.
            tasks_from: Which of its files.
            programs: Those of the first or the second ansible-core.
            also: Further hosts of the inventory, with their variables.
            settings: Of the role, without ``ssh_hardening_``; those of the connection begin with ``ansible_``.
        """
        usual = {
            "ansible_host": self.address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.home / "key"),
            "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={self.home}/known_hosts -o IdentitiesOnly=yes",
            "ansible_python_interpreter": "/usr/bin/python3",
            # A loaded machine is slow, and no test waits for the window's end.
            "ssh_hardening_fallback_timeout": 1800,
        }
        named = {key if "ansible_" in key else f"ssh_hardening_{key}": value for key, value in settings.items()}
        variables = {key: value for key, value in (usual | self.variables | named).items() if value is not None}
        hosts = {"box": variables} | (also if isinstance(also, dict) else {})
        (self.home / "inventory").mkdir(exist_ok=True)
        (self.home / "inventory/hosts.yml").write_text(json.dumps({"all": {"hosts": hosts}}))
        role = {"ansible.builtin.include_role": {"name": "ssh_hardening", "tasks_from": tasks_from}}
        # The tasks after the role must still get in, over a connection that is as new as that of the next play.
        after = [
            {"ansible.builtin.meta": "reset_connection"},
            {"ansible.builtin.command": "id -un", "changed_when": False},
        ]
        play = {"hosts": "box", "gather_facts": False, "become": True, "tasks": [role, *after]}
        (self.home / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
        # The paths of its sockets must be short, and no other test's.
        environment = {**os.environ, "ANSIBLE_SSH_CONTROL_PATH_DIR": f"/tmp/{self.name}"}
        inventory, playbooks = self.home / "inventory", [self.home / "play.yml"]
        return run_playbooks(programs / "ansible-playbook", inventory, playbooks, options, environment, timeout=1500)


def address_of(container: str) -> str:
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    asked = ["docker", "inspect", "--format", template, container]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def wait_until(condition: Any, seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not (met := bool(condition())) and time.monotonic() < end:
        time.sleep(0.5)
    return met


@contextmanager
def ssh_host(name: str, home: Path, image: str = "bare", *, systemd: bool = True) -> Iterator[SshHost]:
    """Start a host, and remove it with all that is in it.

    Args:
        name: Of its container.
        home: An empty folder for the operator.
        image: ``bare``, or ``docker``, which also has iptables.
        systemd: Without, a shell has started sshd.
    """
    try:
        with host(name, image, systemd=systemd) as up:
            if not systemd:
                up.run("sh", "-c", "mkdir -p /run/sshd; service ssh start")
            address = address_of(name)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / "key"], check=True)
            (home / "askpass").write_text(f"#!/bin/sh\necho '{PASSWORD}'\n")
            (home / "askpass").chmod(0o700)
            public = (home / "key.pub").read_text().strip()
            up.run("sh", "-c", f"umask 077; mkdir -p /root/.ssh; echo '{public}' >/root/.ssh/authorized_keys")
            up.run("chpasswd", stdin=f"root:{PASSWORD}")
            key = up.run("cat", "/etc/ssh/ssh_host_ed25519_key.pub")
            (home / "known_hosts").write_text(f"{address} {key}\n")
            yield SshHost(name, address, home)
    finally:
        shutil.rmtree(f"/tmp/{name}", ignore_errors=True)
