"""One host builds the images that others get. Hosts whose builder failed say so; an error names its setting."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.cloud_host import HOST
from support.playbook import CORES, Played, run_playbooks

BASE = "face-app-base:trixie-slim"
ENGINE = """#!/bin/sh
[ "$*" != "image inspect --format={{{{.Id}}}} {base}" ] || exec echo sha256:0badcafe
[ "$1 $2" != "image ls" ] || {edit}
[ "$1" != pull ] || exec sleep 30
exit 1
"""
SHOW = {"ansible.builtin.debug": {"msg": "{{ __images_builder | default('itself') }}"}, "name": "builder"}


def play(
    core: Path, folder: Path, hosts: Mapping[str, Mapping[str, Any]], *options: str, tasks_from: str = "main"
) -> Played:
    """Apply a part of the role to hosts that are this machine, each with an engine of its own.

    Args:
        core: Folder of ansible-playbook.
        folder: An empty folder.
        hosts: Variables of each host; `base` is the name of its base image, `edit` what its engine does when it lists
            images, after their tags are set.
        options: Further options of ansible-playbook.
        tasks_from: The part.
    """
    described = {}
    for name, variables in hosts.items():
        engine = folder / name / "docker"
        engine.parent.mkdir()
        engine.write_text(ENGINE.format(base=variables.get("base", "none"), edit=variables.get("edit", "exit 0")))
        engine.chmod(0o755)
        described[name] = {
            **HOST,
            "images_source": "ship",
            "images_directory": str(folder / "images"),
            **variables,
            "path": f"{engine.parent}:/usr/bin:/bin",
        }
    inventory = folder / "inventory"
    inventory.mkdir()
    (inventory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": described}}))
    role = {"ansible.builtin.include_role": {"name": "images", "tasks_from": tasks_from}}
    if tasks_from == "select_builder":
        role["when"] = "images_source != 'build'"  # type: ignore[assignment]
    described_play = {
        "hosts": "all",
        "gather_facts": False,
        # The module that builds finds no engine.
        "environment": {"PATH": "{{ path }}", "DOCKER_HOST": f"unix://{folder}/none"},
        "vars": {
            "images_wanted": ["mosquitto"],
            "images_cache_directory": str(folder / "cache"),
        },
        "tasks": [{"ansible.builtin.setup": {"gather_subset": ["!all", "!min", "platform"]}}, role, SHOW],
    }
    (folder / "play.yml").write_text(yaml.safe_dump([described_play], sort_keys=False))
    return run_playbooks(core / "ansible-playbook", inventory, [folder / "play.yml"], options)


def builders(core: Path, folder: Path, hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return which host builds for each host."""
    played = play(core, folder, hosts, tasks_from="select_builder")
    assert played.rc == 0, played.output
    return {host: result["msg"] for host, result in played.results[-1].items()}


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize(("having", "builder"), [(["b", "c"], "b"), ([], "a")], ids=["a new first host", "only new"])
def test_the_first_host_with_the_base_image_builds(tmp_path: Path, core: Path, having: list[str], builder: str) -> None:
    hosts = {name: {"base": BASE} if name in having else {} for name in "abc"}
    assert builders(core, tmp_path, hosts) == dict.fromkeys("abc", builder)


@pytest.mark.parametrize("core", CORES)
def test_a_host_that_builds_for_itself_and_one_with_another_release_are_no_builder_of_others(
    tmp_path: Path, core: Path
) -> None:
    other = {"images_base_suite": "bookworm", "base": BASE}
    hosts = {"a": {"images_source": "build", "base": BASE}, "b": other, "c": {}, "d": {}}
    assert builders(core, tmp_path, hosts) == {"a": "itself", "b": "b", "c": "c", "d": "c"}


@pytest.mark.parametrize("core", CORES)
def test_a_host_names_the_builder_that_failed(tmp_path: Path, core: Path) -> None:
    # It fails after it has set its tags.
    broken = {"base": BASE, "images_directory": "/dev/null/images"}
    played = play(core, tmp_path, {"a": broken, "b": {}})
    assert "a builds the images of b and has failed" in played.error, played.output


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize(
    ("variables", "error"),
    [
        ({"images_keep": 0}, "images_keep is 0"),
        ({"images_base_source": "registry", "images_base_pull_timeout": 1}, "raise images_base_pull_timeout"),
    ],
)
def test_an_error_names_its_setting(tmp_path: Path, core: Path, variables: dict[str, Any], error: str) -> None:
    played = play(core, tmp_path, {"a": {"images_source": "build", **variables}})
    assert error in played.error, played.output


@pytest.mark.parametrize("core", CORES)
def test_builds_no_image_of_a_source_that_was_edited_after_the_tag_was_set(tmp_path: Path, core: Path) -> None:
    root = tmp_path / "checkout"
    # Ansible computes the build arguments of all images.
    sources = {
        "files/Dockerfile.mosquitto": "FROM scratch\n",
        "roles/capture/files/face_app/__init__.py": '__version__ = "1"',
    }
    for name, content in sources.items():
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(content)
    edit = f"exec sh -c 'echo >>{root}/files/Dockerfile.mosquitto'"
    host = {"base": BASE, "images_source": "build", "images_source_root": str(root), "edit": edit}
    played = play(core, tmp_path, {"a": host})
    assert played.rc == 2, played.output
    assert "A source was edited during this run, and is that of face-app-mosquitto:" in played.error
