"""A tag runs one role, and the images only where that role runs containers of them."""

import subprocess

import pytest
import yaml

from support.playbook import FIRST, ROOT, SECOND, run_playbooks

EXAMPLE = ROOT / "inventory/example"


def with_images(playbook: str, tag: str) -> bool:
    command = [FIRST / "ansible-playbook", "-i", EXAMPLE, ROOT / playbook, "--tags", tag, "--list-tasks"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert f"{tag.removesuffix('_run').removesuffix('_configure')} : " in told
    return "images : Name the images by their content" in told


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
def test_images_are_built_for_those_that_run_them(playbook, needed, not_needed):
    assert {tag: with_images(playbook, tag) for tag in needed + not_needed} == (
        dict.fromkeys(needed, True) | dict.fromkeys(not_needed, False)
    )


@pytest.mark.parametrize("core", [FIRST, SECOND], ids=["first core", "second core"])
@pytest.mark.parametrize("playbook", ["cloud.yml", "edge.yml"])
def test_without_them_no_other_role_stops_the_play(tmp_path, playbook, core):
    if not (core / "ansible-playbook").exists():
        pytest.skip("no second ansible-core here")
    # Where the host is this machine ssh_hardening itself has nothing to do; arguments of all roles are looked at.
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
