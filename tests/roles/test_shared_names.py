"""Two cloud hosts may each have a subscriber of one name: each host makes its own key."""

import os
from pathlib import Path

import pytest
import yaml

from support.playbook import FIRST, run_playbooks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="changes the owners of files: needs root")


def host(folder: Path) -> dict[str, object]:
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": "/usr/bin/python3",
        "certificates_metrics_directory": str(folder / "metrics"),
        "certificates_wanted": [{"name": "subscriber-1", "usage": "client", "directory": str(folder)}],
    }


@pytest.mark.full
def test_two_hosts_have_different_keys_and_certificates_for_one_name(tmp_path):
    folders = [tmp_path / name for name in ("first", "second")]
    inventory = tmp_path / "inventory"
    inventory.mkdir()
    hosts = {folder.name: host(folder) for folder in folders}
    (inventory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    play = {"hosts": "all", "gather_facts": False, "roles": [{"role": "certificates"}]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    for changes in (True, False):
        played = run_playbooks(FIRST / "ansible-playbook", inventory, [tmp_path / "play.yml"])
        assert played.rc == 0, played.output
        assert any(each["changed"] for each in played.stats.values()) == changes
    for kind in ("key", "crt"):
        assert len({(folder / f"subscriber-1.{kind}").read_bytes() for folder in folders}) == 2
    # Each can be revoked by its serial, and both by their name.
    issued = (inventory / "secrets/pki/issued/subscriber-1").glob("*.crt")
    assert len({file.read_bytes() for file in issued}) == 2
