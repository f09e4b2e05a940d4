"""Docker's own packages come signed with the one key that the operator trusts, or not at all."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.apt_repository import AptRepository, serve_apt_repository
from support.hosts import Host, host
from support.playbook import FIRST, SECOND, run_playbooks

pytestmark = [pytest.mark.host, pytest.mark.timeout(1200)]

# Ends some seconds after somebody has asked for the lock in vain; the pattern does not match this program itself.
UPGRADES = """
import fcntl, pathlib, subprocess, time
with open("/var/lib/apt/lists/lock", "w") as lock:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    pathlib.Path("/run/upgrades").touch()
    while subprocess.run(["pgrep", "--full", "apt-get [u]pdate"], stdout=subprocess.DEVNULL).returncode:
        time.sleep(0.02)
    pathlib.Path("/run/upgrades.waited").touch()
    time.sleep(5)
"""
LIST, KEY = "/etc/apt/sources.list.d/docker.list", "/etc/apt/keyrings/docker.asc"


@dataclass(frozen=True)
class Newcomer:
    """A host without an engine, and the repository that it could have one from.

    Attributes:
        host: It.
        repository: Served on its loopback.
        folder: For playbook and inventory.
    """

    host: Host
    repository: AptRepository
    folder: Path

    def play(self, *options: str, programs: Path = FIRST, **settings: object) -> dict[str, Any]:
        """Run the role: ``rc``, ``changed``, the last ``error`` and all ``output``.

        Args:
            options: Of ansible-playbook.
            programs: Where it is.
            settings: Of the role, without ``docker_engine_``; they win over those of Docker's packages from here.
        """
        usual = {"source": "docker_ce", "apt_url": self.repository.url, "apt_key": self.repository.key}
        variables = {f"docker_engine_{name}": value for name, value in (usual | settings).items()}
        hosts, playbook = self.folder / "hosts.yml", self.folder / "play.yml"
        connection = {"ansible_connection": "community.docker.docker"}
        hosts.write_text(yaml.safe_dump({"all": {"hosts": {self.host.name: connection}}}))
        playbook.write_text(
            yaml.safe_dump([{"hosts": "all", "gather_facts": False, "vars": variables, "roles": ["docker_engine"]}])
        )
        played = run_playbooks(programs / "ansible-playbook", hosts, [playbook], options, timeout=900)
        return {
            "rc": played.rc,
            "changed": played.stats[self.host.name]["changed"],
            "error": played.error,
            "output": played.output,
        }

    def refused(self, **settings: object) -> str:
        """Run the role; it must stop, and install no engine. The one line it stops with."""
        told = self.play(**settings)
        assert told["rc"] == 2, told["output"]
        assert "\n" not in told["error"]
        assert self.host.ask("which", "dockerd").returncode != 0
        return str(told["error"])

    def has(self, path: str) -> bool:
        return self.host.ask("test", "-e", path).returncode == 0


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    with host("docker-engine-newcomer", "bare") as up:
        yield Newcomer(up, serve_apt_repository(up), tmp_path_factory.mktemp("newcomer"))


def test_check_mode_works_before_there_is_anything(newcomer):
    told = newcomer.play("--check")
    assert told["rc"] == 0, told["output"]
    assert not newcomer.has(LIST)


def test_another_key_than_the_operators_is_not_kept(newcomer):
    # Docker's real one.
    wanted = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
    error = newcomer.refused(apt_key=wanted)
    assert f"{newcomer.repository.url}/debian/gpg is not the key {wanted}, but {newcomer.repository.key}." in error
    assert "docker_engine_apt_key" in error
    assert not newcomer.has(KEY)
    assert not newcomer.has(LIST)


def test_a_second_key_beside_it_is_not_kept(newcomer):
    repository = newcomer.repository
    repository.offer(repository.key, repository.other_key)
    try:
        error = newcomer.refused()
    finally:
        repository.offer(repository.key)
    assert repository.other_key in error
    assert not newcomer.has(KEY)


def test_no_key_at_all_is_said_so(newcomer):
    assert "but no key: " in newcomer.refused(apt_url=f"{newcomer.repository.url}/nothing")


def test_what_another_key_has_signed_is_refused(newcomer):
    repository = newcomer.repository
    repository.sign(repository.other_key)
    try:
        error = newcomer.refused()
        # As a fresh VM's own upgrades do it: the lock is held until the role has asked, and some seconds more.
        newcomer.host.run("systemd-run", "--unit=upgrades", "--property=RuntimeMaxSec=120", "python3", "-c", UPGRADES)
        newcomer.host.wait_for("test", "-e", "/run/upgrades")
        later = newcomer.refused()
    finally:
        repository.sign(repository.key)
    assert newcomer.has("/run/upgrades.waited")
    assert later == error
    assert f"APT refuses {repository.url}/debian: " in error
    assert "signature" in error
    # It would be in the way of all that this host installs.
    assert not newcomer.has(LIST)


def test_an_index_that_was_tampered_with_is_refused(newcomer):
    repository = newcomer.repository
    with repository.tampered(repository.index):
        error = newcomer.refused()
    assert f"APT refuses {repository.url}/debian: " in error
    assert "Hash Sum mismatch" in error or "unexpected" in error
    assert not newcomer.has(LIST)


def test_a_package_that_was_tampered_with_is_refused(newcomer):
    with newcomer.repository.tampered("pool/docker-ce-cli.deb"):
        error = newcomer.refused()
    assert error.startswith("APT does not install docker-ce, docker-ce-cli, containerd.io")
    assert "Hash Sum mismatch" in error or "unexpected" in error


def test_the_right_key_installs_an_engine_that_runs(newcomer):
    told = newcomer.play(apt_key=newcomer.repository.key.lower())
    assert told["rc"] == 0, told["output"]
    newcomer.host.run("docker", "info")
    versions = newcomer.host.run(
        "dpkg-query", "--show", "--showformat=${Package} ${Version}\n", "docker-ce*", "containerd*"
    )
    assert versions.split("\n") == [f"{name} 5:99.0-1" for name in ("containerd.io", "docker-ce", "docker-ce-cli")]
    assert f"arch={newcomer.host.run('dpkg', '--print-architecture')} signed-by={KEY}" in newcomer.host.run("cat", LIST)

    # A later run needs no network.
    newcomer.host.run("systemctl", "stop", "apt-repository")
    assert newcomer.play()["changed"] == 0
    for programs in (FIRST, SECOND):
        if (programs / "ansible-playbook").exists():
            told = newcomer.play("--check", programs=programs)
            assert (told["rc"], told["changed"]) == (0, 0), told["output"]

    # Another engine would have to end this one's containers.
    told = newcomer.play(source="distro")
    assert told["rc"] == 2
    assert "Replacing it stops its containers" in told["error"]
