"""Docker's own packages are installed only with the pinned key; an engine that fails is reported with the reason."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from support.apt_repository import AptRepository, serve_apt_repository
from support.hosts import Host, host
from support.playbook import FIRST, ROOT, SECOND, Played, run_playbooks

pytestmark = [pytest.mark.host, pytest.mark.timeout(1200)]

# Locks a file until some seconds after an event, which is a command that then succeeds.
LOCK = """
import fcntl, pathlib, subprocess, sys, time
with open(sys.argv[1], "w") as lock:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    pathlib.Path("/run/locked").touch()
    while subprocess.run(sys.argv[2], shell=True, stdout=subprocess.DEVNULL).returncode:
        time.sleep(0.02)
    time.sleep(5)
pathlib.Path("/run/unlocked").touch()
"""
LIST, KEY = "/etc/apt/sources.list.d/docker.list", "/etc/apt/keyrings/docker.asc"
DOCKERS_KEY = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"


@dataclass(frozen=True)
class Newcomer:
    """A host without an engine, and a repository of engines on its loopback."""

    host: Host
    repository: AptRepository
    folder: Path

    def play(self, *options: str, programs: Path = FIRST, **settings: object) -> Played:
        """Run the role; settings are its variables without their prefix, and override those for the repository."""
        settings = {"source": "docker_ce", "apt_url": self.repository.url, "apt_key": self.repository.key} | settings
        variables = {f"docker_engine_{name}": value for name, value in settings.items()}
        hosts, playbook = self.folder / "hosts.yml", self.folder / "play.yml"
        connection = {"ansible_connection": "community.docker.docker"}
        hosts.write_text(yaml.safe_dump({"all": {"hosts": {self.host.name: connection}}}))
        play = {"hosts": "all", "gather_facts": False, "vars": variables, "roles": ["docker_engine"]}
        playbook.write_text(yaml.safe_dump([play]))
        return run_playbooks(programs / "ansible-playbook", hosts, [playbook], options, timeout=900)

    def changes(self, *options: str, programs: Path = FIRST) -> int:
        """Run the role, which must succeed, and count its changes."""
        played = self.play(*options, programs=programs)
        assert played.rc == 0, played.output
        return played.stats[self.host.name]["changed"]

    def refuse(self, **settings: object) -> str:
        """Run the role, which must fail with one line and install no engine; that line."""
        played = self.play(**settings)
        assert played.rc == 2, played.output
        assert "\n" not in played.error
        assert self.host.ask("which", "dockerd").returncode != 0
        # It would fail every later update of APT.
        assert not self.has(LIST)
        return played.error

    @contextmanager
    def locked(self, file: str, event: str) -> Iterator[None]:
        """Lock a file as a fresh VM's own upgrades do, until the event, which must come, and some seconds more."""
        self.host.run("rm", "--force", "/run/locked", "/run/unlocked")
        self.host.run("systemd-run", "--property=RuntimeMaxSec=300", "python3", "-c", LOCK, file, event)
        self.host.wait_for("test", "-e", "/run/locked")
        yield
        self.host.wait_for("test", "-e", "/run/unlocked")

    def has(self, path: str) -> bool:
        return self.host.ask("test", "-e", path).returncode == 0


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    with host("docker-engine-newcomer", "bare") as up:
        yield Newcomer(up, serve_apt_repository(up), tmp_path_factory.mktemp("newcomer"))


def test_check_mode_works_on_a_fresh_host(newcomer):
    newcomer.changes("--check")
    assert not newcomer.has(LIST)


def test_refuses_another_key(newcomer):
    error = newcomer.refuse(apt_key=DOCKERS_KEY)
    assert f"{newcomer.repository.url}/debian/gpg is not the key {DOCKERS_KEY}, but {newcomer.repository.key}." in error
    assert "docker_engine_apt_key" in error
    assert not newcomer.has(KEY)


def test_refuses_a_second_key(newcomer):
    repository = newcomer.repository
    repository.offer(repository.key, repository.other_key)
    try:
        error = newcomer.refuse()
    finally:
        repository.offer(repository.key)
    assert repository.other_key in error
    assert not newcomer.has(KEY)


def test_reports_a_missing_key(newcomer):
    url = f"{newcomer.repository.url}/nothing"
    error = newcomer.refuse(apt_url=url)
    assert f"from {url}: " in error
    assert "404" in error


def test_refuses_the_signature_of_another_key_and_waits_for_apt(newcomer):
    repository = newcomer.repository
    repository.sign(repository.other_key)
    try:
        error = newcomer.refuse()
        # A process that has APT's library loaded is the role's.
        with newcomer.locked("/var/lib/apt/lists/lock", "grep -qs apt_pkg /proc/[0-9]*/maps"):
            assert newcomer.refuse() == error
    finally:
        repository.sign(repository.key)
    assert f"from {repository.url}: " in error
    assert "signature" in error


def test_refuses_files_that_were_tampered_with(newcomer):
    for file in (newcomer.repository.index, "pool/docker-ce-cli.deb"):
        with newcomer.repository.tampered(file):
            error = newcomer.refuse()
        assert error.startswith("APT did not install docker-ce, docker-ce-cli, containerd.io")
        assert f"from {newcomer.repository.url}: " in error
        assert "Hash Sum mismatch" in error or "unexpected" in error


def test_restores_the_repository_that_the_host_had(newcomer):
    former = {LIST: "# An operator's own entry: deb … stable\n", KEY: "An operator's own key\n"}
    for path, content in former.items():
        newcomer.host.write(path, content)
    try:
        with newcomer.repository.tampered("pool/docker-ce-cli.deb"):
            assert newcomer.play().rc == 2
        assert {path: newcomer.host.ask("cat", path).stdout for path in former} == former
    finally:
        newcomer.host.run("rm", "--force", *former)


def test_installs_an_engine_with_the_pinned_key_after_dpkg_is_unlocked(newcomer):
    with newcomer.locked("/var/lib/dpkg/lock-frontend", 'pgrep --full "apt-get.*[i]nstall"'):
        played = newcomer.play(apt_key=newcomer.repository.key.lower())
    assert played.rc == 0, played.output
    newcomer.host.run("docker", "info")
    shown = newcomer.host.run(
        "dpkg-query", "--show", "--showformat=${Package} ${Version}\n", "docker-ce*", "containerd*"
    )
    assert shown.split("\n") == [f"{name} 5:99.0-1" for name in ("containerd.io", "docker-ce", "docker-ce-cli")]
    assert f"arch={newcomer.host.run('dpkg', '--print-architecture')} signed-by={KEY}" in newcomer.host.run("cat", LIST)

    # A later run needs no network.
    newcomer.host.run("systemctl", "stop", "apt-repository")
    assert newcomer.changes() == 0
    for programs in (FIRST, SECOND):
        if (programs / "ansible-playbook").exists():
            assert newcomer.changes("--check", programs=programs) == 0

    # A later failure of APT does not remove the entry.
    entry = newcomer.host.run("cat", LIST)
    newcomer.host.run("dpkg", "--force-depends", "--remove", "python3-requests")
    played = newcomer.play()
    assert played.rc == 2
    assert played.error.startswith("APT did not install python3-requests: ")
    assert newcomer.host.run("cat", LIST) == entry

    # The role would have to end this engine's containers.
    played = newcomer.play(source="distro")
    assert played.rc == 2
    assert "Replacing it stops its containers" in played.error


@dataclass(frozen=True)
class Engine:
    """A host with the distribution's engine."""

    host: Host
    folder: Path

    def refuse(self, *playbooks: Path, **variables: object) -> str:
        """Run playbooks, by default one with the role, which must fail with one line within two minutes; that line."""
        hosts, role = self.folder / "hosts.yml", self.folder / "play.yml"
        connection = {"ansible_connection": "community.docker.docker"}
        groups = {name: {"hosts": {self.host.name: connection}} for name in ("edge", "cloud")}
        hosts.write_text(yaml.safe_dump({"all": {"children": groups, "vars": variables}}))
        role.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "roles": ["docker_engine"]}]))
        played = run_playbooks(FIRST / "ansible-playbook", hosts, playbooks or [role], timeout=120)
        assert played.rc == 2, played.output
        assert "\n" not in played.error
        return played.error


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with host("docker-engine-failing", "docker") as up:
        up.wait_for("docker", "version")
        yield Engine(up, tmp_path_factory.mktemp("failing"))


def test_an_engine_that_does_not_answer_ends_the_run(engine):
    engine.host.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "docker")
    try:
        error = engine.refuse(docker_engine_start_timeout=15)
        torn_down = engine.refuse(ROOT / "playbooks/teardown.yml")
        redeployed = engine.refuse(ROOT / "redeploy.yml")
    finally:
        engine.host.run("systemctl", "kill", "--kill-whom=main", "--signal=CONT", "docker")
    assert error.startswith("Docker runs, but did not answer within 15 s. Restart it: systemctl restart docker.")
    assert f"Docker on {engine.host.name} does not answer. Restart it (systemctl restart docker;" in torn_down
    assert f"Docker on {engine.host.name} runs, but does not answer. Restart it" in redeployed


def test_names_why_systemd_does_not_start_the_engine(engine):
    engine.host.run("systemctl", "stop", "docker.socket", "docker.service")
    # No run of the engine has left a line.
    engine.host.run("journalctl", "--rotate", "--vacuum-time=1s")
    engine.host.run("systemctl", "mask", "docker")
    try:
        masked = engine.refuse()
    finally:
        engine.host.run("systemctl", "unmask", "docker")
    assert masked.startswith("Docker does not start, or does not read its settings: ")
    assert "masked" in masked
    assert "log ends with" not in masked
