"""Which host builds the images that others get: one that has the base image, whatever the order of the inventory."""

from pathlib import Path

import pytest
import yaml

from support.cloud_host import HOST
from support.playbook import CORES, run_playbooks

ENGINE = '#!/bin/sh\n[ "$*" != "image inspect --format={{{{.Id}}}} {base}" ] || exec echo sha256:0badcafe\nexit 1\n'
BASE = "face-app-base:trixie-slim"


@pytest.mark.parametrize("program", CORES)
@pytest.mark.parametrize(("having", "builder"), [(["b", "c"], "b"), ([], "a")], ids=["a new first host", "only new"])
def test_the_first_host_with_the_base_image_builds(tmp_path: Path, program, having, builder):
    hosts = {}
    for name in "abc":
        engine = tmp_path / name / "docker"
        engine.parent.mkdir()
        engine.write_text(ENGINE.format(base=BASE if name in having else "none"))
        engine.chmod(0o755)
        hosts[name] = {**HOST, "path": f"{engine.parent}:/usr/bin:/bin"}
    inventory = tmp_path / "inventory"
    inventory.mkdir()
    (inventory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    select = {"name": "images", "tasks_from": "builder"}
    play = {
        "hosts": "all",
        "gather_facts": False,
        "environment": {"PATH": "{{ path }}"},
        "vars": {"images_source": "ship", "images_wanted": ["mosquitto"]},
        "tasks": [
            {"ansible.builtin.setup": {"gather_subset": ["!all", "!min", "platform"]}},
            {"ansible.builtin.include_role": select},
            {"ansible.builtin.debug": {"msg": "{{ __images_builder }}"}, "name": "builder"},
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
    played = run_playbooks(program / "ansible-playbook", inventory, [tmp_path / "play.yml"])
    assert played.rc == 0, played.output
    assert {result["msg"] for result in played.results[-1].values()} == {builder}
