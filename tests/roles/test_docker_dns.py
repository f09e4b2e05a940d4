"""A refused setting leaves the engine and its containers as they were, and one line gives the reason."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.hosts import Host, host
from support.playbook import FIRST, ROOT, SECOND, Played, run_playbooks

pytestmark = pytest.mark.timeout(1200)

ROLE = ROOT / "roles/docker_dns"
on_second = pytest.mark.skipif(not (SECOND / "ansible-playbook").exists(), reason="the second core is not here")
NAME, ADDRESS = "only.containers.test", "10.53.0.53"
FILE = "/etc/docker/daemon.json"
BACKUP = f"{FILE}.before-face-app"
# Formatted as an operator writes it.
EARLIER = '{"shutdown-timeout": 17,\n   "log-opts": {"max-size": "10m", "tag": "{{.Name}}"}}'


@dataclass(frozen=True)
class Engine:
    """A host whose containers resolve no names, with one container that runs."""

    host: Host
    folder: Path
    programs: Path = FIRST

    def play(self, *tasks: dict[str, Any], **variables: object) -> Played:
        hosts = {self.host.name: {"ansible_connection": "community.docker.docker"}}
        (self.folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
        play = {"hosts": "all", "gather_facts": False, "vars": variables, "tasks": list(tasks)}
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        return run_playbooks(
            self.programs / "ansible-playbook", self.folder / "hosts.yml", [self.folder / "play.yml"], timeout=600
        )

    def run_role(self, role: str = "docker_dns", *, name: str = NAME, **variables: object) -> tuple[int, str]:
        """Run a role, which must succeed; the number of changes, and the messages."""
        played = self.play({"ansible.builtin.include_role": {"name": role}}, docker_dns_name=name, **variables)
        assert played.rc == 0, played.output
        messages = [str(each[self.host.name].get("msg")) for each in played.results if self.host.name in each]
        return played.stats[self.host.name]["changed"], "\n".join(messages)

    def refuse(self, name: str = NAME, **variables: object) -> str:
        """Run the role, which must fail with one line and leave all as it was; that line."""
        before = self.settings, self.container
        played = self.play({"ansible.builtin.include_role": {"name": "docker_dns"}}, docker_dns_name=name, **variables)
        assert played.rc == 2, played.output
        assert "\n" not in played.error
        assert (self.settings, self.container) == before
        assert not self.has_backup
        return played.error

    @contextmanager
    def edited(self, content: str) -> Iterator[None]:
        """Change the settings by hand, unread by the engine; afterwards restore the file that it has read."""
        self.host.run("cp", "--preserve", FILE, "/root/former")
        self.host.write(FILE, content)
        try:
            yield
        finally:
            self.host.run("mv", "/root/former", FILE)

    def interrupt(self, **settings: object) -> None:
        """Leave what a run leaves that was interrupted before the engine has read the new settings."""
        self.host.run("cp", "--preserve", FILE, BACKUP)
        self.host.write(FILE, json.dumps(json.loads(self.settings) | settings))

    @property
    def settings(self) -> str:
        return self.host.ask("cat", FILE).stdout

    @property
    def container(self) -> str:
        """Identity and start of the container that runs."""
        self.host.run("docker", "exec", "working", "sleep", "0")
        return self.host.run("docker", "inspect", "--format={{.Id}} {{.State.StartedAt}} {{.State.Pid}}", "working")

    @property
    def has_backup(self) -> bool:
        return self.host.ask("ls", BACKUP).returncode == 0

    def resolves(self) -> bool:
        asked = self.host.ask("docker", "run", "--rm", "tools:test", "getent", "ahostsv4", NAME)
        return "192.0.2.77" in asked.stdout

    def prepare(self) -> None:
        resolver = {"ansible.builtin.include_tasks": str(ROLE / "molecule/default/tasks/resolver.yml")}
        played = self.play(resolver, resolver_first="127.0.1.1")
        assert played.rc == 0, played.output
        self.host.run("docker", "run", "--detach", "--name=working", "tools:test", "sleep", "infinity")
        assert not self.resolves()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with host("docker-dns-refusing", "docker") as up:
        up.wait_for("docker", "version")
        up.write(FILE, EARLIER)
        up.run("systemctl", "restart", "docker")
        ready = Engine(up, tmp_path_factory.mktemp("refusing"))
        ready.prepare()
        yield ready


@pytest.fixture
def bare_engine(tmp_path: Path) -> Iterator[Engine]:
    """On a host without systemd; no daemon runs yet."""
    with host("docker-dns-bare", "docker", systemd=False) as up:
        yield Engine(up, tmp_path)


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("nameserver 127.0.0.53\nnameserver 192.168.55.1\nnameserver 192.168.55.1", ["192.168.55.1"]),
        # Docker's own comment, in newer versions and older ones.
        ("# ExtServers: [host(10.0.0.2) 2001:db8::53]", ["10.0.0.2", "2001:db8::53"]),
        ("# ExtServers: ['10.0.0.2']", ["10.0.0.2"]),
        # resolvectl
        ("Global:\nLink 2 (eth0): 10.0.0.2 fe80::1%2 10.0.0.3", ["10.0.0.2", "10.0.0.3"]),
        # nmcli
        ("10.0.0.2 | 10.0.0.3\n\n2001:db8::53", ["10.0.0.2", "10.0.0.3", "2001:db8::53"]),
        # A container can use none of these.
        ("nameserver 127.0.1.1\nnameserver ::1\nnameserver 0.0.0.0\nnameserver fe80::1%eth0", []),
    ],
)
def test_finds_servers_in_every_format(tmp_path, text, servers):
    (tmp_path / "text").write_text(text)
    command = [ROLE / "files/nameservers", tmp_path / "text"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines() == servers


@pytest.mark.host
@pytest.mark.parametrize(
    ("programs", "options", "reason"),
    [
        # The engine refuses it when it reloads its settings.
        pytest.param(FIRST, {"no-such-key": 1}, "no-such-key", id="reload"),
        # The engine refuses it when it starts.
        pytest.param(SECOND, {"storage-driver": "nonesuch"}, "driver not supported", id="start", marks=on_second),
    ],
)
def test_rolls_back_settings_that_the_engine_refuses(engine, programs, options, reason):
    error = replace(engine, programs=programs).refuse(docker_dns_options=options)
    assert "was rolled back to its earlier settings" in error
    assert reason in error.split("Its log ends with:")[1]
    assert engine.settings == EARLIER


@pytest.mark.host
def test_rolls_back_settings_with_which_names_are_not_resolved(engine):
    error = engine.refuse(docker_dns_options={"max-concurrent-uploads": 3, "dns": ["192.0.2.1"]})
    assert f"containers cannot resolve {NAME}" in error
    assert engine.settings == EARLIER


@pytest.mark.host
@pytest.mark.parametrize("exists", [True, False], ids=["an empty file", "no file"])
def test_restores_an_empty_file_and_none_where_there_was_none(engine, exists):
    with engine.edited(""):
        # The engine started later.
        engine.host.run("touch", "--date=2020-01-01", FILE)
        if not exists:
            engine.host.run("rm", FILE)
        error = engine.refuse(docker_dns_options={"max-concurrent-uploads": 3, "dns": ["192.0.2.1"]})
        assert f"containers cannot resolve {NAME}" in error
        assert (engine.host.ask("ls", FILE).returncode == 0) == exists


@pytest.mark.host
@pytest.mark.parametrize(("content", "reason"), [('{"dns": [', "Expecting value: line 1 column 10"), ("[]", "object.")])
def test_leaves_a_file_that_is_no_json_object(engine, content, reason):
    with engine.edited(content):
        error = engine.refuse()
    assert f"{FILE} on {engine.host.name} is no JSON object" in error
    assert reason in error


@pytest.mark.host
def test_refuses_servers_that_answer_no_container(engine):
    assert "no DNS server answers them (192.0.2.1)" in engine.refuse(docker_dns_servers=["192.0.2.1"])
    file = "/run/NetworkManager/no-stub-resolv.conf"
    engine.host.run("mv", file, "/root/no-stub")
    try:
        assert "(the host has only servers on its loopback)" in engine.refuse()
    finally:
        engine.host.run("mv", "/root/no-stub", file)


@pytest.mark.host
def test_ignores_names_that_the_host_cannot_resolve(engine):
    changed, messages = engine.run_role(name="unknown.test")
    assert changed == 0
    assert "itself cannot resolve unknown.test, so the engine stays unchanged" in messages


@pytest.mark.host
@pytest.mark.parametrize("options", [{}, {"max-concurrent-uploads": 3}], ids=["nothing to add", "something to add"])
def test_refuses_an_edit_that_the_engine_has_not_read(engine, options):
    # The engine would refuse it only at its start.
    settings = json.loads(EARLIER) | {"live-restore": True, "storage-driver": "nonesuch"}
    with engine.edited(json.dumps(settings)):
        # Containers resolve this name, so servers are not the reason.
        error = engine.refuse(name="localhost", docker_dns_options={"live-restore": True} | options)
    assert f"{FILE} on {engine.host.name} was changed after Docker had started" in error
    assert "restart Docker, and run this again" in error


@pytest.mark.host
def test_heals_an_interrupted_run(engine):
    since = engine.container
    engine.interrupt(**{"dns": [ADDRESS], "live-restore": True})
    assert not engine.resolves()
    engine.run_role()
    assert engine.resolves()
    assert engine.container == since
    assert json.loads(engine.settings)["dns"] == [ADDRESS]
    assert not engine.has_backup
    assert engine.run_role()[0] == 0


@pytest.mark.host
def test_restores_unread_settings_though_names_are_resolved(engine):
    before = engine.settings, engine.container
    engine.interrupt(**{"storage-driver": "nonesuch"})
    engine.run_role()
    assert (engine.settings, engine.container) == before
    assert not engine.has_backup
    assert engine.run_role()[0] == 0


@pytest.mark.host
def test_starts_an_engine_that_an_interrupted_run_has_broken(engine):
    before = engine.settings
    engine.interrupt(**{"storage-driver": "nonesuch"})
    engine.host.ask("systemctl", "restart", "docker")
    engine.run_role("docker_engine")
    assert engine.settings == before
    engine.host.run("docker", "version")


@pytest.mark.host
def test_restarts_the_roles_own_daemon_without_systemd(bare_engine):
    bare_engine.run_role("docker_engine")
    bare_engine.prepare()
    since = bare_engine.container
    bare_engine.run_role()
    assert bare_engine.resolves()
    assert bare_engine.container == since
    assert json.loads(bare_engine.settings) == {"live-restore": True, "dns": [ADDRESS]}
    assert bare_engine.run_role()[0] == 0


@pytest.mark.host
def test_leaves_a_daemon_of_others_alone_without_systemd(bare_engine):
    start = "setsid dockerd >/dev/null 2>&1 </dev/null &"
    bare_engine.host.run("sh", "-c", start)
    bare_engine.host.wait_for("docker", "version")
    bare_engine.prepare()
    changed, messages = bare_engine.run_role()
    assert changed == 0
    assert "neither systemd nor role docker_engine" in messages
    error = bare_engine.refuse(docker_dns_servers=[ADDRESS])
    assert f'Put {{"dns": ["{ADDRESS}"]}} into {FILE}, restart Docker' in error
    bare_engine.host.write(FILE, json.dumps({"dns": [ADDRESS]}))
    error = bare_engine.refuse(docker_dns_servers=[ADDRESS])
    assert f"{FILE} contains the settings, but containers cannot resolve {NAME}" in error
    stop = "kill $(cat /run/docker.pid); while [ -e /run/docker.pid ]; do sleep 0.1; done"
    bare_engine.host.run("sh", "-c", f"{stop}; {start}")
    bare_engine.host.wait_for("docker", "version")
    assert bare_engine.run_role(docker_dns_servers=[ADDRESS])[0] == 0
    assert bare_engine.resolves()
