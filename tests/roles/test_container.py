"""The role container checks its arguments before it creates anything, and its digest has all that the engine gets."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.playbook import CORES, FIRST, ON_SECOND, ROOT, SECOND, Played, run_playbooks

VALUES: dict[str, Any] = {
    "container_name": "face-app-test-no-such-container",
    "container_image": "face-app-none:0",
    "container_health": ["true"],
}


def play(core: Path, folder: Path, tasks: list[dict[str, Any]], *options: str, **keywords: Any) -> Played:
    """Run tasks on this machine."""
    (folder / "play.yml").write_text(
        yaml.safe_dump([{"hosts": "box", "gather_facts": False, "tasks": tasks, **keywords}])
    )
    host = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"box": host}}}))
    return run_playbooks(core / "ansible-playbook", folder / "hosts.yml", [folder / "play.yml"], options)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"container_pids": "many"}, "container_pids"),
        ({"container_settings_source": "/etc/face-app/none"}, "Set container_settings_digest"),
    ],
)
def test_refuses_wrong_arguments_of_a_container_that_is_not_current(
    tmp_path: Path, core: Path, wrong: dict[str, str], error: str
) -> None:
    role = {"name": "container", "rolespec_validate": False}
    task = {"ansible.builtin.include_role": role, "vars": VALUES | wrong}
    assert error in play(core, tmp_path, [task], "--check").error


CHANGES: list[dict[str, Any]] = [
    {},
    {"container_image": "face-app-none:1"},
    {"container_command": ["sleep"]},
    {"container_networks": ["faces"]},
    {"container_runtime": "nvidia"},
    {"container_pids": 100},
    {"container_environment": {"A": "b"}},
    {"container_settings_source": "/etc/one", "container_settings_digest": "one"},
    {"container_device_rules": ["c 81:* rw"]},
    # Values that only a release changes.
    {"container_device_rules": ["c 81:* rw"], "__container_device_mounts": []},
    {"container_networks": ["faces"], "__container_network_options": [{"name": "faces"}]},
]


def digests(core: Path, folder: Path) -> list[str]:
    files = [str(ROOT / f"roles/container/{part}/main.yml") for part in ("defaults", "vars")]
    message = "{{ __container_options_digest }} {{ __container_settings_digest }}"
    tasks = [{"ansible.builtin.debug": {"msg": message}, "vars": change} for change in CHANGES]
    played = play(core, folder, tasks, vars=VALUES, vars_files=files)
    assert played.rc == 0, played.output
    return [result["box"]["msg"] for result in played.results]


def test_the_digest_of_the_options_has_all_that_the_engine_gets(tmp_path: Path) -> None:
    found = [each.split()[0] for each in digests(FIRST, tmp_path)]
    assert len(set(found)) == len(CHANGES), json.dumps(found, indent=1)


@ON_SECOND[0]
@ON_SECOND[1]
def test_both_ansible_cores_compute_the_same_digests(tmp_path: Path) -> None:
    assert digests(FIRST, tmp_path) == digests(SECOND, tmp_path)
