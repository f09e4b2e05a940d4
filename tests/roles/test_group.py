"""The role subscriber draws the name of the group of the subscribers: once, and nothing shows it."""

import os
import re
import stat
from pathlib import Path

import pytest
import yaml

from support.playbook import FIRST, run_playbooks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="changes the owners of files: needs root")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host without Docker: the program that validates settings accepts them."""
    docker = tmp_path / "bin/docker"
    docker.parent.mkdir()
    docker.write_text("#!/bin/sh\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}:{os.environ['PATH']}")
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "/usr/bin/python3",
        "subscriber_directory": str(tmp_path / "subscriber"),
        "subscriber_names": ["subscriber-1", "subscriber-2"],
        "subscriber_image": "none",
        "subscriber_access_key": "a",
        "subscriber_secret_key": "b",
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"cloud": variables}}}))
    role = {"ansible.builtin.include_role": {"name": "subscriber", "tasks_from": "configure"}}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [role]}]))
    return tmp_path


def configure(host: Path, *options: str) -> tuple[str, int]:
    played = run_playbooks(FIRST / "ansible-playbook", host / "hosts.yml", [host / "play.yml"], options)
    assert played.rc == 0, played.output
    return played.output, played.stats["cloud"]["changed"]


def groups(host: Path) -> set[str]:
    files = (host / "subscriber").glob("*.toml")
    return {group for file in files for group in re.findall('^group = "(.*)"$', file.read_text(), re.MULTILINE)}


def test_draws_one_group_for_all_subscribers_of_a_host_and_shows_it_to_no_one(host):
    output, _ = configure(host, "-vvv", "--diff")
    (group,) = groups(host)
    assert len(group) == 32
    assert set(group) <= set("0123456789abcdef")
    again, changed = configure(host, "-vvv", "--diff")
    assert (groups(host), changed) == ({group}, 0)
    assert group not in output + again
    mode = (host / "subscriber/group").stat()
    assert (stat.S_IMODE(mode.st_mode), mode.st_uid) == (0o400, 0)


@pytest.mark.full
def test_each_host_has_another_group(host):
    configure(host)
    first = groups(host)
    (host / "subscriber/group").unlink()
    configure(host, "--check")
    assert groups(host) == first
    configure(host)
    assert groups(host) != first


@pytest.mark.full
def test_a_group_in_the_settings_wins(host):
    configure(host, "--extra-vars", '{"subscriber_settings": {"group": "shared-by-two-hosts"}}')
    assert groups(host) == {"shared-by-two-hosts"}
