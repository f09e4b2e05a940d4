"""The role container checks its arguments before it creates anything, also where a role skips Ansible's own check."""

from pathlib import Path

import pytest
import yaml

from support.playbook import CORES, run_playbooks


@pytest.mark.parametrize("core", CORES)
def test_refuses_a_wrong_argument_for_a_container_that_is_not_current(tmp_path: Path, core: Path) -> None:
    values = {
        "container_name": "face-app-test-no-such-container",
        "container_image": "face-app-none:0",
        "container_health": ["true"],
        "container_pids": "many",
    }
    task = {"ansible.builtin.include_role": {"name": "container", "rolespec_validate": False}, "vars": values}
    play = {"hosts": "box", "gather_facts": False, "tasks": [task]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    host = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"box": host}}}))
    played = run_playbooks(core / "ansible-playbook", tmp_path / "hosts.yml", [tmp_path / "play.yml"], ["--check"])
    assert "container_pids" in played.error
    assert "Validation of arguments failed" in played.error
