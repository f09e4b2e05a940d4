"""Playbooks that check hosts before they change them."""

import subprocess

import pytest
import yaml

from support.playbook import FIRST, ROOT, SECOND, run_playbooks

EXAMPLE = ROOT / "inventory/example"
LOCAL = {"ansible_connection": "local", "ansible_host": "localhost", "ansible_python_interpreter": "/usr/bin/python3"}


def hosts_of(playbook: str) -> set[str]:
    command = [FIRST / "ansible-playbook", "-i", EXAMPLE, ROOT / playbook, "--list-hosts"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    return {line.strip() for line in listed.splitlines() if line.startswith("      ")}


def test_reaches_only_the_hosts_of_a_playbook():
    assert hosts_of("edge.yml") == {"jetson"}
    assert hosts_of("cloud.yml") == {"face-server"}
    assert hosts_of("site.yml") == {"jetson", "face-server"}


@pytest.mark.parametrize("core", [FIRST, SECOND], ids=["first core", "second core"])
def test_checks_a_host_once_in_a_run(tmp_path, core):
    if not (core / "ansible-playbook").exists():
        pytest.skip("no second ansible-core here")
    variables = {**LOCAL, "cloud_broker_port": 0, "preflight_free_mib": 1}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": variables}}))
    preflight = ROOT / "playbooks/preflight.yml"
    # Check mode accepts the addresses and the secrets of the example.
    options = ["-i", str(tmp_path / "hosts.yml"), "--check"]
    played = run_playbooks(core / "ansible-playbook", EXAMPLE, [preflight, preflight], options)
    assert played.rc == 0, played.errors or played.output[-2000:]
    passed = [host for task in played.results for host, result in task.items() if "preflight_passed" in str(result)]
    assert sorted(passed) == ["face-server", "jetson"]
