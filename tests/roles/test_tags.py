"""A tag runs one role, with the role images only where that role runs containers."""

import re
import subprocess
from functools import cache

import pytest
import yaml

from support.playbook import CORES, FIRST, ROOT, run_playbooks

EXAMPLE = ROOT / "inventory/example"


@cache
def tasks(playbook: str) -> list[tuple[str, set[str]]]:
    """Each task of a playbook with its tags, as ansible-playbook lists them."""
    command = [FIRST / "ansible-playbook", "-i", EXAMPLE, ROOT / playbook, "--list-tasks"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    found = re.findall(r"^ {6}(.*)\tTAGS: \[(.*)\]$", listed, re.MULTILINE)
    return [(name, set(tags.split(", "))) for name, tags in found]


def builds_images(playbook: str, tag: str) -> bool:
    """Whether a run with a tag builds images."""
    selected = [name for name, tags in tasks(playbook) if tags & {tag, "always"}]
    assert any(name.startswith(f"{tag.removesuffix('_run').removesuffix('_configure')} : ") for name in selected)
    return "images : Build on this host" in selected


@pytest.mark.parametrize(
    ("playbook", "needed", "not_needed"),
    [
        (
            "cloud.yml",
            [
                "images",
                "local_object_store",
                "object_storage",
                "cloud_broker",
                "subscriber_configure",
                "subscriber_run",
                "gallery",
                "monitoring",
                "monitoring_configure",
                "monitoring_run",
            ],
            ["ssh_hardening", "docker_engine", "docker_dns", "s3fs_mount", "certificates", "cloud_broker_configure"],
        ),
        (
            "edge.yml",
            ["images", "edge_broker", "edge_broker_run", "capture", "capture_configure", "capture_run"],
            ["ssh_hardening", "docker_engine", "docker_dns", "certificates", "edge_broker_configure"],
        ),
    ],
)
def test_builds_images_for_roles_that_run_containers(playbook, needed, not_needed):
    assert {tag: builds_images(playbook, tag) for tag in needed + not_needed} == (
        dict.fromkeys(needed, True) | dict.fromkeys(not_needed, False)
    )


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("playbook", ["cloud.yml", "edge.yml"])
def test_runs_one_role_without_images(tmp_path, playbook, core):
    # ssh_hardening skips this machine; the arguments of all roles are validated.
    local = {
        "ansible_connection": "local",
        "ansible_host": "localhost",
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": local}}))
    options = ["-i", str(tmp_path / "hosts.yml"), "--tags=ssh_hardening", "--check"]
    played = run_playbooks(core / "ansible-playbook", EXAMPLE, [ROOT / playbook], options)
    assert played.rc == 0, played.errors or played.output[-2000:]
    assert sum(stats["ok"] for stats in played.stats.values()) > 5
