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
from support.playbook import FIRST, ROOT, SECOND

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
        for task in walk(yaml.safe_load(file.read_text()), {})
    ]


TASKS = apt_tasks()
NAMES = tuple(f"face-app-package-{number}" for number in range(len(TASKS)))


def with_package(task: dict[str, Any], host: str, package: str) -> dict[str, Any]:
    """Return a task of a role for another package and one host; it retries sooner."""
    options = {key: value for key, value in task[APT].items() if key != "policy_rc_d"} | {"name": package}
    unchanged = {key: value for key, value in task.items() if key not in ("when", "vars", "name")}
    sooner = {"delay": 1} if "delay" in task else {}
    return {**unchanged, **sooner, APT: options, "when": f"inventory_hostname == '{host}'"}


class Run:
    """Playbook in which each task has a host of its own: this machine, with the private root."""

    def __init__(self, place: Path, root: AptRoot, programs: Path, packages: dict[str, str], *options: str) -> None:
        tasks = [with_package(task, host, packages[host]) for task, host in zip(TASKS, packages, strict=True)]
        everything = {"hosts": "all", "gather_facts": False, "strategy": "free", "tasks": tasks}
        (place / "play.yml").write_text(yaml.safe_dump([everything]))
        variables = "ansible_connection=local ansible_python_interpreter=/usr/bin/python3"
        (place / "hosts").write_text("".join(f"{name} {variables}\n" for name in packages))
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [programs / "ansible-playbook", "-i", place / "hosts", *options, place / "play.yml"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **root.environment, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
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


def test_covers_each_task_that_installs_packages():
    assert len(TASKS) == 6


@pytest.mark.parametrize(("lock", "programs"), [*((lock, FIRST) for lock in LOCKS), (LOCKS[-1], SECOND)], ids=str)
def test_each_task_waits_for_a_lock_and_shows_it(tmp_path, lock, programs):
    if not (programs / "ansible-playbook").exists():
        pytest.skip("no second ansible-core here")
    root = AptRoot(tmp_path / "root", NAMES)
    with ExitStack() as lasting:
        with locked(root.folder / lock):
            run = lasting.enter_context(Run(tmp_path, root, programs, dict(zip(NAMES, NAMES, strict=True))))
            run.wait_until_all_wait()
        assert run.end() == 0, "".join(run.lines)
    assert root.installed == set(NAMES)


def test_no_other_failure_is_retried(tmp_path):
    root = AptRoot(tmp_path / "root", NAMES)
    # One after another: they would wait for each other's locks.
    with Run(tmp_path, root, FIRST, dict.fromkeys(NAMES, ABSENT), "--forks=1") as run:
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
