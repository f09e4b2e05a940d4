"""The example's inventory, with what people change in it."""

import shutil
from pathlib import Path

import pytest
import yaml

from support.playbook import FIRST, ROOT, run_playbooks


def told(inventory: Path, expression: str) -> str:
    """What the edge of an inventory takes an expression for."""
    task = {"ansible.builtin.debug": {"msg": expression}}
    play = inventory.with_name("play.yml")
    play.write_text(yaml.safe_dump([{"hosts": "edge", "gather_facts": False, "tasks": [task]}]))
    played = run_playbooks(FIRST / "ansible-playbook", inventory, [play])
    assert played.rc == 0, played.output
    return str(played.results[0]["jetson"]["msg"])


@pytest.mark.parametrize(
    ("cloud", "port"),
    [
        ({"hosts": {"face-server": None}}, "8883"),
        ({"hosts": {"face-server": {"cloud_broker_port": 9883}}}, "9883"),
        ({}, "8883"),
        (None, "8883"),
    ],
    ids=["as it is", "another port", "no host", "no group"],
)
def test_edges_ask_at_the_port_that_the_clouds_broker_has(tmp_path, cloud, port):
    inventory = tmp_path / "inventory"
    shutil.copytree(ROOT / "inventory/example", inventory)
    groups = {"edge": {"hosts": {"jetson": None}}} | ({} if cloud is None else {"cloud": cloud})
    (inventory / "hosts.yml").write_text(yaml.safe_dump(groups))
    assert told(inventory, "{{ edge_broker_cloud_port }}") == port
