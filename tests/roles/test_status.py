"""playbooks/status.yml with a host that is down."""

import sys
from pathlib import Path

import pytest
import yaml

from support.playbook import ROOT, run_playbooks
from support.ports import free_port


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_prints_one_line_for_a_host_that_is_down(tmp_path, options):
    down = {"ansible_host": "127.0.0.1", "ansible_port": free_port(), "ansible_ssh_common_args": "-o BatchMode=yes"}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"edge": {"hosts": {"jetson": down}}, "cloud": {"hosts": {}}}))
    program = Path(sys.executable).with_name("ansible-playbook")
    played = run_playbooks(program, tmp_path, [ROOT / "playbooks/status.yml"], options)
    assert played.rc == 0, played.output
    (table,) = [
        result["msg"] for task in played.results for result in task.values() if "CANNOT" in str(result.get("msg"))
    ]
    host, reason = table.splitlines()[1].split(maxsplit=1)
    assert host == "jetson"
    assert reason.startswith("CANNOT BE REACHED: ")
    assert reason.endswith("Connection refused")
