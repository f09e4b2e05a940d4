"""Where containers cannot be given names, the engine and its containers stay as they were, and one line says why."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.hosts import Host, host
from support.playbook import FIRST, SECOND, run_playbooks

pytestmark = pytest.mark.timeout(1200)

ROOT = Path(__file__).parents[2]
MOLECULE = ROOT / "roles/docker_dns/molecule/default"
on_second = pytest.mark.skipif(not (SECOND / "ansible-playbook").exists(), reason="the second core is not here")
NAME, ADDRESS = "only.containers.test", "10.53.0.53"
FILE = "/etc/docker/daemon.json"
KEPT = f"{FILE}.before-face-app"
# As an operator has written it.
EARLIER = '{"shutdown-timeout": 17,\n   "log-opts": {"max-size": "10m", "tag": "{{.Name}}"}}'


@dataclass(frozen=True)
class Engine:
    """A host whose containers resolve no names, with one container that works.

    Attributes:
        host: It.
        programs: Where ansible-playbook is.
        folder: For playbooks and inventory.
    """

    host: Host
    programs: Path
    folder: Path

    def play(self, tasks: list[dict[str, Any]], **variables: object) -> dict[str, Any]:
        """Run tasks on the host: ``rc``, ``changed``, the ``messages`` told and the last ``error``."""
        (self.folder / "hosts.yml").write_text(
            yaml.safe_dump({"all": {"hosts": {self.host.name: {"ansible_connection": "community.docker.docker"}}}})
        )
        playbook = self.folder / "play.yml"
        playbook.write_text(
            yaml.safe_dump([{"hosts": "all", "gather_facts": False, "vars": variables, "tasks": tasks}])
        )
        played = run_playbooks(self.programs / "ansible-playbook", self.folder / "hosts.yml", [playbook], timeout=600)
        mine = [each[self.host.name] for each in played.results if self.host.name in each]
        return {
            "rc": played.rc,
            "changed": played.stats[self.host.name]["changed"],
            "messages": [str(each["msg"]) for each in mine if "msg" in each],
            "error": played.error,
            "output": played.output,
        }

    def role(self, *, name: str = NAME, **variables: object) -> dict[str, Any]:
        role = {"ansible.builtin.include_role": {"name": "docker_dns"}}
        return self.play([role], docker_dns_name=name, **variables)

    @contextmanager
    def edited(self, content: str) -> Iterator[None]:
        """The engine's settings changed by hand, which it has not read; afterwards the former file, which it has."""
        self.host.run("cp", "--preserve", FILE, "/root/former")
        self.host.write(FILE, content)
        try:
            yield
        finally:
            self.host.run("mv", "/root/former", FILE)

    def refused(self, **variables: object) -> str:
        """Run the role; it must stop. The one line it stops with, after all is as it was."""
        file, working = self.settings, self.working
        told = self.role(**variables)
        assert told["rc"] == 2, told["output"]
        assert "\n" not in told["error"]
        assert (self.settings, self.working) == (file, working)
        assert self.host.ask("ls", KEPT).returncode != 0
        return str(told["error"])

    @property
    def settings(self) -> str:
        """The bytes of the engine's settings; empty: it has none."""
        return self.host.ask("cat", FILE).stdout

    @property
    def working(self) -> str:
        """Which the container is that works, and since when."""
        self.host.run("docker", "exec", "working", "sleep", "0")
        return self.host.run("docker", "inspect", "--format={{.Id}} {{.State.StartedAt}} {{.State.Pid}}", "working")

    def resolves(self) -> bool:
        asked = self.host.ask("docker", "run", "--rm", "tools:test", "getent", "ahostsv4", NAME)
        return "192.0.2.77" in asked.stdout


def _prepare(engine: Engine) -> None:
    files = [MOLECULE / "tasks/resolver.yml", MOLECULE / "tasks/tools.yml"]
    told = engine.play(
        [{"ansible.builtin.include_tasks": str(file)} for file in files],
        resolver_name=NAME,
        resolver_address=ADDRESS,
        resolver_first="127.0.1.1",
    )
    assert told["rc"] == 0, told["output"]
    engine.host.run("docker", "run", "--detach", "--name=working", "tools:test", "sleep", "infinity")
    assert not engine.resolves()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with host("docker-dns-refusing", "docker") as up:
        up.wait_for("docker", "version")
        up.write(FILE, EARLIER)
        up.run("systemctl", "restart", "docker")
        ready = Engine(up, FIRST, tmp_path_factory.mktemp("refusing"))
        _prepare(ready)
        yield ready


@pytest.fixture
def bare_engine(tmp_path: Path) -> Iterator[Engine]:
    """On a host without systemd; nobody has started a daemon."""
    with host("docker-dns-bare", "docker", systemd=False) as up:
        yield Engine(up, FIRST, tmp_path)


TOLD = {
    "nameserver 127.0.0.53\nnameserver 192.168.55.1\nnameserver 192.168.55.1": ["192.168.55.1"],
    # Docker's own comment, in newer versions and older ones.
    "# ExtServers: [host(10.0.0.2) 2001:db8::53]": ["10.0.0.2", "2001:db8::53"],
    "# ExtServers: ['10.0.0.2']": ["10.0.0.2"],
    # resolvectl
    "Global:\nLink 2 (eth0): 10.0.0.2 fe80::1%2 10.0.0.3": ["10.0.0.2", "10.0.0.3"],
    # nmcli
    "10.0.0.2 | 10.0.0.3\n\n2001:db8::53": ["10.0.0.2", "10.0.0.3", "2001:db8::53"],
    # Nothing that a container could use.
    "nameserver 127.0.1.1\nnameserver ::1\nnameserver 0.0.0.0\nnameserver fe80::1%eth0": [],
}


@pytest.mark.parametrize("programs", [FIRST, pytest.param(SECOND, marks=on_second)], ids=["first-core", "second-core"])
def test_servers_are_found_in_whatever_tells_them(tmp_path, programs):
    tasks = [
        {"ansible.builtin.debug": {"var": "__docker_dns_candidates"}, "vars": {"__docker_dns_read": {"stdout": told}}}
        for told in TOLD
    ]
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": [str(ROOT / "roles/docker_dns/vars/main.yml")],
        "vars": {"__docker_dns_told": {"results": []}, "docker_dns_servers": []},
        "tasks": tasks,
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    (tmp_path / "hosts.yml").write_text("all: {hosts: {localhost: {ansible_connection: local}}}")
    played = run_playbooks(programs / "ansible-playbook", tmp_path / "hosts.yml", [tmp_path / "play.yml"])
    assert played.rc == 0, played.output
    found = [each["localhost"]["__docker_dns_candidates"] for each in played.results]
    assert found == list(TOLD.values())


@pytest.mark.host
@pytest.mark.parametrize(
    ("programs", "options", "reason"),
    [
        # Found when it reads them while it runs, and not before it has been ended.
        pytest.param(FIRST, {"no-such-key": 1}, "no-such-key", id="read"),
        pytest.param(SECOND, {"storage-driver": "nonesuch"}, "driver not supported", id="started", marks=on_second),
    ],
)
def test_settings_that_the_engine_does_not_take_are_taken_back(engine, programs, options, reason):
    error = replace(engine, programs=programs).refused(docker_dns_options=options)
    assert "is as it was" in error
    assert reason in error.split("Its last words:")[1]
    assert engine.settings == EARLIER


@pytest.mark.host
def test_settings_in_vain_are_taken_back(engine):
    error = engine.refused(docker_dns_options={"max-concurrent-uploads": 3, "dns": ["192.0.2.1"]})
    assert f"containers cannot resolve {NAME}" in error
    assert engine.settings == EARLIER


@pytest.mark.host
@pytest.mark.parametrize(("content", "reason"), [('{"dns": [', "Expecting value: line 1 column 10"), ("[]", "object.")])
def test_a_file_that_is_no_json_object_is_left_as_it_is(engine, content, reason):
    with engine.edited(content):
        error = engine.refused()
    assert f"{FILE} on {engine.host.name} is no JSON object" in error
    assert reason in error


@pytest.mark.host
def test_servers_that_answer_no_container_are_not_even_tried(engine):
    assert "no server answers them (192.0.2.1)" in engine.refused(docker_dns_servers=["192.0.2.1"])
    told = "/run/NetworkManager/no-stub-resolv.conf"
    engine.host.run("mv", told, "/root/told")
    try:
        assert "(the host names only its own loopback)" in engine.refused()
    finally:
        engine.host.run("mv", "/root/told", told)


@pytest.mark.host
def test_names_that_the_host_does_not_know_are_no_reason(engine):
    told = engine.role(name="nobody.test")
    assert (told["rc"], told["changed"]) == (0, 0), told["output"]
    assert "left alone: the host cannot either" in "".join(told["messages"])


@pytest.mark.host
@pytest.mark.parametrize(
    "options", [{}, {"max-concurrent-uploads": 3}], ids=["all of it is there", "something is to be added"]
)
def test_an_edit_by_hand_that_the_engine_has_not_read_is_left_to_its_author(engine, options):
    # Nothing that it would notice before it has been ended.
    settings = json.loads(EARLIER) | {"live-restore": True, "storage-driver": "nonesuch"}
    with engine.edited(json.dumps(settings)):
        # A name that containers resolve: the servers are not what it is about.
        error = engine.refused(name="localhost", docker_dns_options={"live-restore": True} | options)
    assert f"{FILE} on {engine.host.name} was changed after Docker had started" in error
    assert "restart Docker, and run this again" in error


@pytest.mark.host
def test_what_a_run_that_was_cut_off_has_written_is_read_in_the_next(engine):
    since = engine.working
    engine.host.run("cp", "--preserve", FILE, KEPT)
    engine.host.write(FILE, json.dumps(json.loads(EARLIER) | {"dns": [ADDRESS], "live-restore": True}))
    assert not engine.resolves()
    told = engine.role()
    assert told["rc"] == 0, told["output"]
    assert engine.resolves()
    assert engine.working == since
    assert json.loads(engine.settings)["dns"] == [ADDRESS]
    assert engine.host.ask("ls", KEPT).returncode != 0
    assert engine.role()["changed"] == 0


@pytest.mark.host
def test_what_a_run_that_was_cut_off_has_written_goes_also_where_nobody_asks_for_it_any_more(engine):
    file, since = engine.settings, engine.working
    engine.host.run("cp", "--preserve", FILE, KEPT)
    engine.host.write(FILE, json.dumps(json.loads(file) | {"storage-driver": "nonesuch"}))
    told = engine.role()
    assert told["rc"] == 0, told["output"]
    assert (engine.settings, engine.working) == (file, since)
    assert engine.host.ask("ls", KEPT).returncode != 0
    assert engine.role()["changed"] == 0


@pytest.mark.host
def test_an_engine_that_died_of_what_a_run_that_was_cut_off_has_written(engine):
    role = [{"ansible.builtin.include_role": {"name": "docker_engine"}}]
    engine.host.run("cp", "--preserve", FILE, KEPT)
    engine.host.write(FILE, json.dumps(json.loads(engine.settings) | {"storage-driver": "nonesuch"}))
    engine.host.ask("systemctl", "restart", "docker")
    told = engine.play(role)
    assert told["rc"] == 2, told["output"]
    cure = told["error"].rpartition(" goes by ")[2]
    assert cure == f"mv {KEPT} {FILE}"
    engine.host.run(*cure.split())
    engine.host.run("systemctl", "reset-failed", "docker")
    told = engine.play(role)
    assert told["rc"] == 0, told["output"]


@pytest.mark.host
def test_without_systemd_the_roles_own_daemon_is_restarted(bare_engine):
    started = bare_engine.play([{"ansible.builtin.include_role": {"name": "docker_engine"}}])
    assert started["rc"] == 0, started["output"]
    _prepare(bare_engine)
    since = bare_engine.working
    told = bare_engine.role()
    assert told["rc"] == 0, told["output"]
    assert bare_engine.resolves()
    assert bare_engine.working == since
    assert json.loads(bare_engine.settings) == {"live-restore": True, "dns": [ADDRESS]}
    assert bare_engine.role()["changed"] == 0


@pytest.mark.host
def test_without_systemd_anothers_daemon_is_left_alone(bare_engine):
    bare_engine.host.run("sh", "-c", "setsid dockerd >/dev/null 2>&1 </dev/null &")
    bare_engine.host.wait_for("docker", "version")
    _prepare(bare_engine)
    told = bare_engine.role()
    assert (told["rc"], told["changed"]) == (0, 0), told["output"]
    assert "neither systemd nor role docker_engine" in "".join(told["messages"])
    error = bare_engine.refused(docker_dns_servers=[ADDRESS])
    assert f'Put {{"dns": ["{ADDRESS}"]}} into {FILE}, restart it' in error
