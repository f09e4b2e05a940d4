"""The example inventory, and the one of version 0.1.0, which sets every role variable itself."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tomllib
import yaml

from support.playbook import CORES, FIRST, ROOT, run_playbooks

EXAMPLE = ROOT / "inventory/example"
OLD_EXAMPLE = Path(__file__).with_name("inventory_0_1")
ROLES = {
    "edge": ["edge_broker", "capture"],
    "cloud": ["object_storage", "s3fs_mount", "cloud_broker", "subscriber"],
}
DRAWN = "subscriber_group"
# The old example's secrets, and their names in the new one.
SECRETS = {
    "vault_edge_broker_password": "face_app_broker_password",
    "vault_edge_broker_forwarder_password": "face_app_forwarder_password",
    "vault_s3_access_key": "face_app_s3_access_key",
    "vault_s3_secret_key": "face_app_s3_secret_key",
}


def evaluated(inventory: Path, group: str, names: list[str], core: Path = FIRST) -> dict[str, Any]:
    """Evaluate variables on the host of a group, with the defaults of the roles that run there."""
    values = "{{ names | zip(query('ansible.builtin.vars', *names, default='')) | community.general.dict | to_json }}"
    tags = {"mosquitto": "m", "capture": "c", "subscriber": "s", "object_store": "o"}
    play = {
        "hosts": group,
        "gather_facts": False,
        "vars": {"images_tags": tags},
        "roles": [{"role": role, "when": False} for role in ROLES[group]],
        "tasks": [
            {"ansible.builtin.debug": {"msg": values}, "vars": {"names": names}},
        ],
    }
    place = inventory.with_name("play.yml")
    place.write_text(yaml.safe_dump([play]))
    played = run_playbooks(core / "ansible-playbook", inventory, [place])
    assert played.rc == 0, played.output
    (result,) = played.results[-1].values()
    found = result["msg"]
    return dict(json.loads(found) if isinstance(found, str) else found)


def variables(group: str) -> list[str]:
    """List the public variables of the roles of a group, but the one that each inventory draws."""
    specs = [yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text()) for role in ROLES[group]]
    return [name for spec in specs for name in spec["argument_specs"]["main"]["options"] if name != DRAWN]


def copy(inventory: Path, place: Path) -> Path:
    """Copy an inventory and give each secret a value of its own."""
    shutil.copytree(inventory, place)
    values = {name: f"value of {shared}" for old, shared in SECRETS.items() for name in (old, shared)}
    (place / "group_vars/all/vault.yml").write_text(yaml.safe_dump(values))
    return place


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("group", ROLES)
def test_an_inventory_of_the_version_before_renders_the_same_settings(tmp_path, group, core):
    names = variables(group)
    old = evaluated(copy(OLD_EXAMPLE, tmp_path / "old"), group, names, core)
    written = yaml.safe_load((OLD_EXAMPLE / f"group_vars/{group}/vars.yml").read_text())
    literal = {name: value for name, value in written.items() if name in names and "{{" not in str(value)}
    assert len(literal) >= 2
    assert literal == {name: old[name] for name in literal}
    assert evaluated(copy(EXAMPLE, tmp_path / "new"), group, names, core) == old


def test_a_role_variable_overrides_the_shared_one(tmp_path):
    inventory = copy(EXAMPLE, tmp_path / "inventory")
    (inventory / "host_vars").mkdir()
    (inventory / "host_vars/face-server.yml").write_text("subscriber_bucket: other\nobject_storage_access_key: mine\n")
    names = ["subscriber_bucket", "object_storage_bucket", "object_storage_access_key", "subscriber_access_key"]
    assert list(evaluated(inventory, "cloud", names).values()) == [
        "other",
        "face-app",
        "mine",
        "value of face_app_s3_access_key",
    ]


def test_a_certificate_for_metrics_opens_a_listener_of_its_own(tmp_path):
    inventory = copy(EXAMPLE, tmp_path / "inventory")
    (inventory / "group_vars/all/own.yml").write_text("capture_metrics_certificate: metrics\n")
    found = evaluated(inventory, "edge", ["__capture_settings", "__capture_published_metrics_port"])
    assert int(found["__capture_published_metrics_port"]) == 9465
    metrics = found["__capture_settings"]["metrics"]
    # A core of Ansible renders numbers as text, which the program accepts.
    assert (int(metrics.pop("port")), int(metrics.pop("tls_port"))) == (9464, 9465)
    assert metrics == {
        "host": "0.0.0.0",
        "cert_file": "/etc/face-app/metrics.crt",
        "key_file": "/etc/face-app/metrics.key",
        "client_ca_file": "/etc/face-app/ca.crt",
        "client_names": ["prometheus"],
    }


@pytest.mark.parametrize("core", CORES)
def test_a_setting_may_be_any_text_or_mapping(tmp_path, core):
    inventory = copy(EXAMPLE, tmp_path / "inventory")
    settings = {"camera": {"place": "\U0001f600", "zones": {"door": [0.5, 1]}}}
    (inventory / "host_vars").mkdir()
    (inventory / "host_vars/jetson.yml").write_text(yaml.safe_dump({"capture_settings": settings}))
    (written,) = evaluated(inventory, "edge", ["__capture_settings_file"], core).values()
    camera = tomllib.loads(written)["camera"]
    assert {name: camera[name] for name in settings["camera"]} == settings["camera"]


def test_a_store_on_the_cloud_host_needs_one_value(tmp_path):
    inventory = copy(EXAMPLE, tmp_path / "inventory")
    (inventory / "group_vars/all/own.yml").write_text("face_app_own_store: true\n")
    names = ["object_storage_endpoint", "object_storage_networks", "s3fs_mount_endpoint", "subscriber_endpoint"]
    names += ["subscriber_public_endpoint"]
    assert list(evaluated(inventory, "cloud", names).values()) == [
        "http://object-store:8333",
        ["face_cloud"],
        "http://127.0.0.1:8333",
        "http://object-store:8333",
        "http://127.0.0.1:8333",
    ]


@pytest.mark.parametrize(
    ("cloud", "port"),
    [
        pytest.param({"hosts": {"face-server": None}}, 8883, id="as it is", marks=pytest.mark.full),
        pytest.param({"hosts": {"face-server": {"cloud_broker_port": 9883}}}, 9883, id="another port"),
        pytest.param({}, 8883, id="no host", marks=pytest.mark.full),
        pytest.param(None, 8883, id="no group", marks=pytest.mark.full),
    ],
)
@pytest.mark.parametrize("inventory", [EXAMPLE, OLD_EXAMPLE], ids=["now", "0.1.0"])
def test_edges_connect_to_the_port_of_the_clouds_broker(tmp_path, inventory, cloud, port):
    place = copy(inventory, tmp_path / "inventory")
    groups = {"edge": {"hosts": {"jetson": None}}} | ({} if cloud is None else {"cloud": cloud})
    (place / "hosts.yml").write_text(yaml.safe_dump(groups))
    assert int(evaluated(place, "edge", ["edge_broker_cloud_port"])["edge_broker_cloud_port"]) == port
