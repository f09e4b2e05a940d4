"""The role edge_broker draws the random part of the forwarder's client ids: once, and nothing shows it."""

import os
import re
import stat
from pathlib import Path

import pytest
import yaml

from support.playbook import FIRST, run_playbooks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="changes the owners of files: needs root")


@pytest.fixture
def host(tmp_path: Path) -> Path:
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "/usr/bin/python3",
        "edge_broker_directory": str(tmp_path / "edge_broker"),
        "edge_broker_edge": "jetson",
        "edge_broker_cloud_address": "192.0.2.7",
        "edge_broker_password": "only-for-this-test",
        "edge_broker_forwarder_password": "only-for-this-test",
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"jetson": variables}}}))
    role = {"ansible.builtin.include_role": {"name": "edge_broker", "tasks_from": "configure"}}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [role]}]))
    return tmp_path


def configure(host: Path, *options: str) -> tuple[str, int]:
    played = run_playbooks(FIRST / "ansible-playbook", host / "hosts.yml", [host / "play.yml"], options)
    assert played.rc == 0, played.output
    return played.output, played.stats["jetson"]["changed"]


def client_ids(host: Path) -> dict[str, str]:
    """The random part of the client id of each hop."""
    text = (host / "edge_broker/forwarder/mosquitto.conf").read_text()
    return dict(re.findall("^remote_clientid ([a-z]+)-([0-9a-f]{32})$", text, re.MULTILINE))


def test_draws_the_client_ids_once_and_shows_them_to_no_client(host):
    output, _ = configure(host, "-vvv", "--diff")
    ids = client_ids(host)
    assert set(ids) == {"forwarder", "jetson"}
    again, changed = configure(host, "-vvv", "--diff")
    assert (client_ids(host), changed) == (ids, 0)
    assert not [each for each in ids.values() if each in output + again]
    assert stat.S_IMODE((host / "edge_broker/client_id").stat().st_mode) == 0o400
