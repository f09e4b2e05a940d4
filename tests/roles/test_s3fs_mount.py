"""The role s3fs_mount on a host without systemd: it verifies the bucket, repairs the mount, and reports why it cannot.

The host is this machine with folders and processes of its own, so nothing of it stays. With systemd, and with a
container that watches: roles/s3fs_mount/molecule.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.playbook import Played, run_playbooks
from support.ports import free_ports
from support.processes import process
from support.s3 import client
from support.seaweedfs import ACCESS_KEY, MISSING, SECRET_KEY, SeaweedFS, seaweedfs, weed

ROOT = Path(__file__).parents[2]
BUCKET = "face-app"
OWNER = ("setpriv", "--reuid=10001", "--regid=10001", "--clear-groups")

# Ends with its first process, which adopts the processes that the role leaves running.
INIT = """
for folder in /run /mnt /usr/local/sbin; do mount --types tmpfs none "$folder"; done
echo ready
while :; do sleep 3600 & wait $!; done
"""

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/fuse").exists(), reason="mounts: needs root and /dev/fuse"),
    pytest.mark.skipif(not weed(), reason=MISSING),
]


@dataclass
class Host:
    """A host without systemd.

    Attributes:
        home: Of inventory, keys and settings.
        inside: Command before a command that runs on it.
        settings: The role's.
    """

    home: Path
    inside: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.home / "hosts.yml").write_text(
            "all: {hosts: {box: {ansible_connection: local, ansible_python_interpreter: /usr/bin/python3}}}\n"
        )
        self.program = self.home / "ansible-playbook"
        program = Path(sys.executable).with_name("ansible-playbook")
        self.program.write_text(f'#!/bin/sh\nexec {" ".join(self.inside)} {program} "$@"\n')
        self.program.chmod(0o755)

    def play(self, *options: str, tasks_from: str = "main", **settings: object) -> Played:
        """Run the role, with further options of ansible-playbook and settings besides self.settings."""
        role = {"name": "s3fs_mount", "tasks_from": tasks_from}
        variables = self.settings | {"__s3fs_mount_uses_systemd": False} | settings
        task = {"ansible.builtin.include_role": role, "vars": variables}
        play = {"hosts": "box", "gather_facts": False, "become": False, "tasks": [task]}
        (self.home / "play.yml").write_text(yaml.safe_dump([play]))
        return run_playbooks(self.program, self.home / "hosts.yml", [self.home / "play.yml"], options)

    def changed(self, *options: str, **settings: object) -> int:
        """Run the role, which must succeed; how many tasks changed something."""
        played = self.play(*options, **settings)
        assert played.rc == 0, played.output[-2000:]
        return played.stats["box"]["changed"]

    def why_not(self, **settings: object) -> str:
        """Run the role, which must fail; the one line that says why."""
        played = self.play(**settings)
        assert played.stats["box"]["failures"] == 1, played.output[-2000:]
        (message,) = played.errors
        assert "\n" not in message.strip()
        assert SECRET_KEY not in played.output
        return message

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.inside, *command], check=False, capture_output=True, text=True, timeout=60)

    def s3fs(self) -> list[int]:
        """The processes of s3fs, as this machine counts them."""
        found = subprocess.run(["pgrep", "--exact", "s3fs"], check=False, capture_output=True, text=True).stdout.split()
        path = str(self.settings["s3fs_mount_path"]).encode()
        return [pid for pid in map(int, found) if path in command_line(pid)]


def command_line(pid: int) -> bytes:
    """Of a process; nothing where it has ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@contextmanager
def namespaces(folder: Path) -> Iterator[tuple[str, ...]]:
    """Create mount and process namespaces; yield the command prefix that enters them."""
    log = folder / "namespaces.log"
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", INIT]
    with process(command, log) as running:
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
        until(lambda: "ready" in log.read_text(), 10)
        yield "nsenter", "--mount", "--pid", "--target", children.read_text().strip()


def until(met: Any, seconds: float) -> float:
    """Wait until it is so; how many seconds that took."""
    began = time.monotonic()
    while not met():
        assert time.monotonic() < began + seconds, "it did not come about"
        time.sleep(0.05)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def server() -> Iterator[SeaweedFS]:
    with seaweedfs() as running:
        client(running.endpoint).create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, server: SeaweedFS) -> Iterator[Host]:
    home = tmp_path_factory.mktemp("host")
    settings = {
        "s3fs_mount_endpoint": server.endpoint,
        "s3fs_mount_access_key": ACCESS_KEY,
        "s3fs_mount_secret_key": SECRET_KEY,
        "s3fs_mount_path": f"/mnt/{home.name}/face-app",
        "s3fs_mount_directory": str(home / "settings"),
        "s3fs_mount_log_file": str(home / "s3fs.log"),
        "s3fs_mount_start_timeout": 20,
    }
    with namespaces(home) as inside:
        yield Host(home, inside, settings)


@pytest.fixture
def mounted(host: Host) -> Host:
    """The role has run successfully."""
    host.changed()
    return host


@contextmanager
def container(host: Host) -> Iterator[tuple[str, ...]]:
    """Create a container's view of mounts: an earlier namespace that receives later mounts (rslave)."""
    command = [*host.inside, "unshare", "--mount", "--propagation=slave", "sh", "-c", "echo ready; exec sleep 600"]
    log = host.home / "container.log"
    log.write_text("")
    with process(command, log) as running:
        until(lambda: "ready" in log.read_text(), 10)
        # nsenter forks into the processes' namespace, unshare does not.
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        yield "nsenter", "--mount", "--target", children[0]


def writes(place: tuple[str, ...], path: str) -> bool:
    """Return whether an object can be written and read through the mount."""
    command = [*place, *OWNER, "sh", "-c", 'echo face >"$0" && cat "$0" && rm "$0"', path]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return done.stdout == "face\n"


def test_mounted_once_and_only_for_its_owner(mounted, server):
    path = mounted.settings["s3fs_mount_path"]
    assert mounted.changed() == 0
    assert mounted.changed("--check") == 0
    written = mounted.run(*OWNER, "sh", "-c", 'mkdir -p "$0/a" && printf face >"$0/a/b.jpg"', path)
    assert written.returncode == 0, written.stderr
    stored = client(server.endpoint).get_object(Bucket=BUCKET, Key="a/b.jpg")
    assert (stored["Body"].read(), stored["ContentType"]) == (b"face", "image/jpeg")
    other = ("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups")
    assert "Permission denied" in mounted.run(*other, "cat", f"{path}/a/b.jpg").stderr


def test_the_key_shows_nowhere(mounted):
    settings = Path(mounted.settings["s3fs_mount_directory"])
    played = mounted.play("-vvv", "--diff", s3fs_mount_umask="0027")
    assert played.rc == 0
    assert SECRET_KEY not in played.output
    assert {file.stat().st_mode & 0o777 for file in settings.iterdir()} == {0o600}
    assert SECRET_KEY not in Path(mounted.settings["s3fs_mount_log_file"]).read_text()
    (pid,) = mounted.s3fs()
    assert SECRET_KEY.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert SECRET_KEY.encode() not in Path(f"/proc/{pid}/environ").read_bytes()


def test_other_options_mount_again(mounted):
    cache = mounted.home / "copies"
    other = {"s3fs_mount_signature": "v2", "s3fs_mount_retries": 1, "s3fs_mount_cache": str(cache)}
    before = mounted.s3fs()
    assert mounted.changed(**other) > 0
    (pid,) = mounted.s3fs()
    options = Path(f"/proc/{pid}/cmdline").read_text()
    assert pid not in before
    assert all(option in options for option in ("sigv2", "retries=1", f"use_cache={cache}", "use_path_request_style"))
    assert mounted.changed(**other) == 0
    assert cache.stat().st_mode & 0o777 == 0o700


def test_no_endpoint_is_aws_in_its_region(mounted):
    folder = mounted.home / "aws"
    aws = {"s3fs_mount_endpoint": "", "s3fs_mount_region": "eu-central-1", "s3fs_mount_directory": str(folder)}
    played = mounted.play(tasks_from="configure", s3fs_mount_version="1.0", **aws)
    assert played.rc == 0, played.output[-2000:]
    written = "".join(file.read_text() for file in folder.iterdir())
    assert ",url=https://s3.eu-central-1.amazonaws.com,endpoint=eu-central-1," in written


@pytest.mark.parametrize("broken", ["s3fs killed", "unmounted", "its supervisor killed"])
def test_repairs_a_failure_and_a_running_container_sees_it(mounted, broken, record_property):
    view = "/run/face-app-s3fs/face-app/face"
    with container(mounted) as inside:
        assert writes(inside, view)
        (before,) = mounted.s3fs()
        if broken == "s3fs killed":
            os.kill(before, signal.SIGKILL)
        elif broken == "unmounted":
            mounted.run("umount", "--lazy", mounted.settings["s3fs_mount_path"])
        else:
            mounted.run("sh", "-c", "kill -KILL $(cat /run/face-app-s3fs.pid)")
            # Without systemd only the next run restarts a process.
            assert mounted.changed() > 0
        seconds = until(lambda: before not in mounted.s3fs() and writes(inside, view), 60)
    record_property("seconds", f"{seconds:.1f}")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (
            {"s3fs_mount_secret_key": "wrong"},
            "SignatureDoesNotMatch. Correct s3fs_mount_access_key and s3fs_mount_secret",
        ),
        (
            {"s3fs_mount_access_key": "unknown"},
            "InvalidAccessKeyId. Correct s3fs_mount_access_key and s3fs_mount_secret_k",
        ),
        ({"s3fs_mount_bucket": "no-such-bucket"}, "NoSuchBucket. Correct s3fs_mount_bucket."),
        ({"s3fs_mount_endpoint": "http://127.0.0.1:1"}, ". Correct s3fs_mount_endpoint, or start the store."),
        ({"s3fs_mount_endpoint": "http://no-such-host.invalid"}, ". Correct s3fs_mount_endpoint, or start the store."),
        ({"s3fs_mount_endpoint": "no-such-host.invalid"}, "https protocol. Correct s3fs_mount_endpoint, or start"),
    ],
)
def test_a_wrong_setting_stops_the_play_with_its_reason(host, wrong, why, record_property):
    message = host.why_not(s3fs_mount_start_timeout=10, **wrong)
    record_property("message", message)
    assert why in message
    assert host.run(*OWNER, "touch", f"{host.settings['s3fs_mount_path']}/beside").returncode != 0
    host.changed()


def test_a_store_that_comes_late_is_mounted_without_another_run(host, tmp_path, record_property):
    ports = free_ports(10)
    late = {"s3fs_mount_endpoint": f"http://127.0.0.1:{ports[0]}"}
    host.why_not(s3fs_mount_start_timeout=5, **late)
    with seaweedfs(folder=tmp_path, ports=ports) as server:
        client(server.endpoint).create_bucket(Bucket=BUCKET)
        seconds = until(lambda: writes(host.inside, f"{host.settings['s3fs_mount_path']}/late"), 120)
    record_property("seconds", f"{seconds:.1f}")


def test_a_frozen_mount_does_not_outlast_the_limit_of_its_verification(mounted):
    settings = f"{mounted.settings['s3fs_mount_directory']}/face-app-s3fs.conf"
    (server,) = mounted.s3fs()
    os.kill(server, signal.SIGSTOP)
    try:
        done = mounted.run("timeout", "40", "/usr/local/sbin/face-app-s3fs", "verify", settings, "3")
    finally:
        os.kill(server, signal.SIGCONT)
    # Without its limit, one attempt would wait for s3fs until `timeout` kills the program: 124.
    assert (done.returncode, "no answer within" in done.stderr) == (1, True), done


def test_removed_without_a_trace(mounted, tmp_path):
    cached, foreign = tmp_path / BUCKET / "jetson", tmp_path / "other"
    for folder in (cached, foreign):
        folder.mkdir(parents=True)
    removed = mounted.play(tasks_from="remove", s3fs_mount_cache=str(tmp_path))
    assert removed.rc == 0, removed.errors
    assert [path.name for path in tmp_path.iterdir()] == ["other"], "faces stay in no cache"
    assert mounted.s3fs() == []
    assert mounted.run("ls", "/usr/local/sbin", mounted.settings["s3fs_mount_path"]).stdout.split() == [
        "/usr/local/sbin:"
    ]
    assert not Path(mounted.settings["s3fs_mount_directory"]).exists()
    assert mounted.play(tasks_from="remove").rc == 0
