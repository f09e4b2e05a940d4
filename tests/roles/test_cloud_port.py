"""Each edge tries the port of the cloud at the end of its deployment."""

import os
import socket
from pathlib import Path

import pytest
import yaml

from support.playbook import FIRST, ROOT, Played, run_playbooks
from support.ports import free_port

TASKS = ROOT / "playbooks/tasks/cloud_port.yml"
# `docker exec CONTAINER` runs its command here: the connection is real, the container is not.
DOCKER = '#!/bin/sh\nshift 2\nexec "$@"\n'


@pytest.fixture
def play(tmp_path: Path):
    """Run the tasks on an edge per address of the cloud."""
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)

    def run(edges: dict[str, dict[str, object]]) -> Played:
        everywhere = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
        everywhere |= {"edge_broker_forwarder_container": "forwarder"}
        names = {"brokers": "edge_broker_cloud_brokers", "required": "cloud_port_required"}
        hosts = {edge: {names[name]: value for name, value in values.items()} for edge, values in edges.items()}
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": everywhere, "hosts": hosts}}))
        tasks = [{"import_tasks": str(TASKS)}]
        (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
        return run_playbooks(
            FIRST / "ansible-playbook", tmp_path / "hosts.yml", [tmp_path / "play.yml"], environment=environment
        )

    return run


def messages(played: Played) -> dict[str, str]:
    """The last message of each edge about a closed port."""
    return {
        edge: item["msg"]
        for task in played.results
        for edge, result in task.items()
        for item in result.get("results", [])
        if "does not reach" in str(item.get("msg", ""))
    }


def test_warns_or_fails_with_the_sentence_about_the_firewall(play):
    closed = free_port()
    with socket.create_server(("127.0.0.1", 0)) as server:
        there, nowhere, unnamed = (
            f"127.0.0.1:{server.getsockname()[1]}",
            f"127.0.0.1:{closed}",
            f"cloud.invalid:{closed}",
        )
        played = play(
            {
                "open": {"brokers": [there], "required": True},
                "closed": {"brokers": [nowhere]},
                "unnamed": {"brokers": [unnamed]},
                "several": {"brokers": [there, nowhere], "required": True},
                "required": {"brokers": [nowhere], "required": True},
            }
        )
    found = messages(played)
    assert set(found) == {"closed", "unnamed", "several", "required"}, played.output
    assert f"WARNING: closed does not reach the cloud at 127.0.0.1:{closed} (Connection refused)." in found["closed"]
    assert f"Open TCP port {closed} for the edges, in the firewall of the cloud host" in found["closed"]
    assert "name" in found["unnamed"].partition("(")[2].partition(")")[0].lower()
    assert found["required"] == found["closed"].removeprefix("WARNING: ").replace("closed", "required", 1)
    assert {edge: counts["failures"] for edge, counts in played.stats.items()} == {
        "open": 0,
        "closed": 0,
        "unnamed": 0,
        "several": 0,
        "required": 1,
    }


def test_only_a_whole_deployment_requires_the_port():
    site = yaml.safe_load((ROOT / "site.yml").read_text())
    assert [play["import_playbook"] for play in site if play.get("vars", {}).get("cloud_port_required")] == ["edge.yml"]
