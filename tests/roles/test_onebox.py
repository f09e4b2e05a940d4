"""One machine as both ends, by eight values."""

import shutil

import yaml

from support.playbook import FIRST, ROOT, run_playbooks
from support.ports import free_port

ONEBOX = ROOT / "inventory/onebox"
VALUES = ONEBOX / "group_vars/all/vars.yml"


def test_needs_eight_values_and_no_more():
    assert len(yaml.safe_load(VALUES.read_text())) == 8


def test_preflight_refuses_the_keys_of_the_example_and_accepts_the_store_of_the_box(tmp_path):
    inventory = tmp_path / "mine"
    shutil.copytree(ONEBOX, inventory)
    preflight = [ROOT / "playbooks/preflight.yml"]
    options = ["-e", "preflight_free_mib=1", "-e", f"cloud_broker_port={free_port()}"]
    options += ["-e", f"local_object_store_port={free_port()}"]
    refused = run_playbooks(FIRST / "ansible-playbook", inventory, preflight, options)
    (error,) = refused.errors
    assert "change-me in face_app_s3_access_key, face_app_s3_secret_key. Set" in error

    # As the comment of the file says.
    lines = [line for line in VALUES.read_text().splitlines() if "change-me" not in line]
    own = [line.removeprefix("# ") if line.startswith("# face_app_") else line for line in lines]
    (inventory / "group_vars/all/vars.yml").write_text("\n".join(own) + "\n")
    accepted = run_playbooks(FIRST / "ansible-playbook", inventory, preflight, options)
    assert accepted.errors == []
    assert {host for host, counts in accepted.stats.items() if counts["ok"]} == {"camera-box", "camera-box-cloud"}
