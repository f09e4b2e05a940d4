"""Checkouts and shells in which Ansible ignores ansible.cfg, or ends because of the locale."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.playbook import FIRST, ROOT, SECOND

NOT_COPIED = (".venv*", ".cache", ".git", ".*_cache", "tests", "bench", "docs", "mine")
MISSING_LOCALE = {"LANG": "xx_YY.UTF-8", "LC_ALL": "xx_YY.UTF-8"}
PLAYBOOKS = [
    *("site.yml", "edge.yml", "cloud.yml", "redeploy.yml"),
    *sorted(f"playbooks/{file.name}" for file in ROOT.glob("playbooks/*.yml")),
]
LOCAL = {
    "ansible_connection": "local",
    "ansible_python_interpreter": "/usr/bin/python3",
    "preflight_free_mib": 1,
    "cloud_broker_port": 0,
    "ansible_host": "localhost",
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that everyone may write, in a path with a blank, whose requirements are installed."""
    folder = tmp_path_factory.mktemp("shared") / "face app"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_COPIED), symlinks=True)
    folder.chmod(0o777)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    (folder / ".venv/bin/ansible-playbook").symlink_to(FIRST / "ansible-playbook")
    pretend_installed(folder)
    return folder


def pretend_installed(folder: Path) -> None:
    """Write the stamps with which bin/bootstrap installs nothing."""
    version = subprocess.run(["python3", "-V"], check=True, capture_output=True, text=True).stdout.strip()

    def checksum(*names: str) -> str:
        return hashlib.sha256(b"".join((folder / name).read_bytes() for name in names)).hexdigest()

    controller = f"{checksum('requirements/controller.txt')[:16]}-{version.replace(' ', '-')}\n"
    (folder / ".venv/.stamp-controller.txt").write_text(controller)
    (folder / ".venv/.stamp-package").write_text(f"{checksum('requirements/model.txt', 'pyproject.toml')}  -\n")
    (folder / ".venv/.stamp-face-mesh").write_text(f"{checksum('requirements/face_mesh.txt')}  -\n")
    (folder / ".cache/media").mkdir(parents=True)
    (folder / ".cache/media/.stamp").write_text(f"{checksum('requirements/media.txt')}  -\n")


def ask(*command: object, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    plain = {key: value for key, value in os.environ.items() if key != "ANSIBLE_CONFIG"}
    words = [str(word) for word in command]
    return subprocess.run(
        words,
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**plain, "LC_ALL": "C.UTF-8", **environment},
    )


@pytest.mark.parametrize(
    ("playbook", "options"),
    [
        *((playbook, []) for playbook in PLAYBOOKS),
        ("site.yml", ["-i", "inventory/example"]),
        ("edge.yml", ["-i", "inventory/example", "-l", "jetson"]),
    ],
)
def test_without_its_configuration_a_playbook_names_the_cure(checkout, playbook, options):
    done = ask(FIRST / "ansible-playbook", *options, playbook, folder=checkout)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout.count("fatal: ") == 1
    assert f"Ansible has not read {checkout}/ansible.cfg" in done.stdout


def test_the_second_core_names_the_cure(checkout):
    if not (SECOND / "ansible-playbook").exists():
        pytest.skip("no second ansible-core here")
    done = ask(SECOND / "ansible-playbook", "site.yml", folder=checkout)
    assert done.returncode == 2
    assert f"Ansible has not read {checkout}/ansible.cfg" in done.stdout


@pytest.mark.parametrize("locale", [{}, MISSING_LOCALE, {"LC_ALL": "C"}], ids=["good locale", "missing", "no UTF-8"])
def test_after_activate_a_playbook_works_from_another_folder(checkout, tmp_path, locale):
    assert ask(checkout / "bin/bootstrap", folder=tmp_path, **locale).returncode == 0
    hosts = {"all": {"vars": LOCAL}, "edge": {"hosts": {"box": {}}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts))
    script = (
        f'. "{checkout}/.venv/bin/activate" && ansible-playbook -i hosts.yml --check "{checkout}/playbooks/status.yml"'
    )
    done = ask("bash", "-euc", script, folder=tmp_path, **locale)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "box " in done.stdout


def test_activate_is_completed_once(checkout, tmp_path):
    for _ in range(2):
        assert ask(checkout / "bin/bootstrap", folder=tmp_path).returncode == 0
    assert (checkout / ".venv/bin/activate").read_text().count("export ANSIBLE_CONFIG=") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="the demo asks for sudo")
def test_the_demo_names_the_configuration_and_a_locale(checkout, tmp_path):
    program = checkout / ".venv/bin/ansible-playbook"
    program.unlink()
    # The real one, up to the moment before it changes this machine.
    program.write_text(
        f'#!/bin/sh\n"{FIRST}/ansible-playbook" "$@" --list-hosts && "{FIRST}/ansible-playbook" --version\nexit 9\n'
    )
    program.chmod(0o755)
    try:
        done = ask(sys.executable, checkout / "bin/demo", folder=tmp_path, **MISSING_LOCALE)
    finally:
        program.unlink()
        program.symlink_to(FIRST / "ansible-playbook")
    output = (checkout / ".cache/demo/site.log").read_text()
    assert f"config file = {checkout}/ansible.cfg" in output, done.stderr + output
    assert "world writable" not in output
