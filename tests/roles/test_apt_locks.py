"""Installation of packages while another program, such as a fresh VM's own upgrade, has the locks of APT and dpkg."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.apt_root import LOCKS, AptRoot
from support.playbook import FIRST, ON_SECOND, ROOT, SECOND

APT = "ansible.builtin.apt"
ABSENT = "face-app-absent"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="dpkg installs only as root"),
    pytest.mark.skipif(
        subprocess.run(["/usr/bin/python3", "-c", "import apt"], check=False, capture_output=True).returncode != 0,
        reason="no python3-apt here; bin/bootstrap test installs it",
    ),
]


def apt_tasks() -> list[dict[str, Any]]:
    """Return each task of the roles that installs packages."""

    def walk(tasks: list[dict[str, Any]], defaults: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for each in tasks:
            for part in ("block", "rescue", "always"):
                yield from walk(each.get(part, []), defaults | each.get("module_defaults", {}).get(APT, {}))
            if APT in each:
                yield {**each, APT: defaults | each[APT]}

    return [
        task
        for file in sorted(ROOT.glob("roles/*/tasks/*.yml"))
        if f"{APT}:" in file.read_text()
        for task in walk(yaml.load(file.read_text(), yaml.CSafeLoader), {})
    ]


TASKS = apt_tasks()
NAMES = tuple(f"face-app-package-{number}" for number in range(len(TASKS)))


def with_package(task: dict[str, Any], host: str, package: str, root: AptRoot) -> dict[str, Any]:
    """Return a task of a role for another package, one host and its root; it retries sooner."""
    options = {key: value for key, value in task[APT].items() if key != "policy_rc_d"} | {"name": package}
    unchanged = {key: value for key, value in task.items() if key not in ("when", "vars", "name")}
    sooner = {"delay": 1} if "delay" in task else {}
    only_there = {"when": f"inventory_hostname == '{host}'", "environment": root.environment}
    return {**unchanged, **sooner, **only_there, APT: options}


class Run:
    """Playbook in which each task has a host of its own: this machine, with a private root."""

    def __init__(self, place: Path, roots: dict[str, AptRoot], programs: Path, packages: dict[str, str]) -> None:
        tasks = [
            with_package(task, host, packages[host], root)
            for task, (host, root) in zip(TASKS, roots.items(), strict=True)
        ]
        everything = {"hosts": "all", "gather_facts": False, "strategy": "free", "tasks": tasks}
        (place / "play.yml").write_text(yaml.safe_dump([everything]))
        variables = "ansible_connection=local ansible_python_interpreter=/usr/bin/python3"
        (place / "hosts").write_text("".join(f"{name} {variables}\n" for name in packages))
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [programs / "ansible-playbook", "-i", place / "hosts", place / "play.yml"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
        )

    def wait_until_all_wait(self) -> None:
        """Wait until each task has reported that it waits."""
        assert self._process.stdout
        waiting: set[str] = set()
        for line in self._process.stdout:
            self.lines.append(line)
            assert not line.startswith("fatal:"), "".join(self.lines)
            if line.startswith("FAILED - RETRYING: ["):
                waiting.add(line.partition("[")[2].partition("]")[0])
            if len(waiting) == len(TASKS):
                return
        raise AssertionError("".join(self.lines))

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def end(self) -> int:
        rest, _ = self._process.communicate(timeout=300)
        self.lines.append(rest)
        return self._process.returncode


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def own_roots(place: Path) -> dict[str, AptRoot]:
    """Give each host a root: in a shared one, an update removes the lists that another task reads."""
    return {name: AptRoot(place / name, (name,)) for name in NAMES}


def test_covers_each_task_that_installs_packages():
    assert len(TASKS) == 6


@pytest.mark.parametrize(
    ("lock", "programs"),
    [
        pytest.param(LOCKS[0], FIRST, id=f"{LOCKS[0]}-first core"),
        *(pytest.param(lock, FIRST, id=f"{lock}-first core", marks=pytest.mark.full) for lock in LOCKS[1:]),
        pytest.param(LOCKS[-1], SECOND, id=f"{LOCKS[-1]}-second core", marks=ON_SECOND),
    ],
)
def test_each_task_waits_for_a_lock_and_shows_it(tmp_path, lock, programs):
    roots = own_roots(tmp_path)
    with ExitStack() as lasting:
        with ExitStack() as locks:
            for root in roots.values():
                locks.enter_context(locked(root.folder / lock))
            run = lasting.enter_context(Run(tmp_path, roots, programs, dict(zip(NAMES, NAMES, strict=True))))
            run.wait_until_all_wait()
        assert run.end() == 0, "".join(run.lines)
    assert {name: root.installed for name, root in roots.items()} == {name: {name} for name in NAMES}


def test_no_other_failure_is_retried(tmp_path):
    with Run(tmp_path, own_roots(tmp_path), FIRST, dict.fromkeys(NAMES, ABSENT)) as run:
        assert run.end() == 2
    output = "".join(run.lines)
    assert output.count("No package matching") >= len(TASKS)
    assert "RETRYING" not in output


def programs_without(place: Path, absent: str) -> Path:
    """Return a folder with each program of this machine but one."""
    place.mkdir()
    for folder in ("/usr/sbin", "/usr/bin"):
        for program in Path(folder).iterdir():
            if program.name != absent and not (place / program.name).is_symlink():
                (place / program.name).symlink_to(program)
    return place


@pytest.mark.parametrize("lock", LOCKS[1:], ids=str)
def test_bootstrap_waits_for_a_lock_and_shows_it(tmp_path, lock):
    root = AptRoot(tmp_path / "root", ("python3",))
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "bin/bootstrap", tmp_path / "bin")
    environment = {**os.environ, **root.environment, "PATH": str(programs_without(tmp_path / "programs", "python3"))}
    with ExitStack() as lasting:
        with locked(root.folder / lock):
            process = lasting.enter_context(
                subprocess.Popen([tmp_path / "bin/bootstrap"], stderr=subprocess.PIPE, text=True, env=environment)
            )
            lasting.callback(process.terminate)
            assert process.stderr
            lines = []
            for line in process.stderr:
                lines.append(line)
                if "another program installs packages" in line:
                    break
            else:
                pytest.fail("".join(lines))
        process.wait(timeout=300)
    assert root.installed == {"python3"}
