"""The role subscriber draws the name of the group of the subscribers: once for all hosts, and nothing shows it."""

import json
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
import tomllib
import yaml

from support.playbook import FIRST, run_playbooks

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="changes the owners of files: needs root"),
    pytest.mark.full,
]


HOSTS = ("first", "second")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two hosts without Docker: the program that validates settings accepts them."""
    docker = tmp_path / "bin/docker"
    docker.parent.mkdir()
    docker.write_text("#!/bin/sh\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}:{os.environ['PATH']}")
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "/usr/bin/python3",
        "subscriber_directory": f"{tmp_path}/{{{{ inventory_hostname }}}}",
        "subscriber_image": "none",
        "subscriber_access_key": "a",
        "subscriber_secret_key": "b",
    }
    cloud = {host: {"ansible_host": f"{host}.example.org"} for host in HOSTS}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": variables}, "cloud": {"hosts": cloud}}))
    role = {"ansible.builtin.include_role": {"name": "subscriber", "tasks_from": "configure"}}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [role]}]))
    return tmp_path


def configure(place: Path, *options: str) -> tuple[str, int]:
    played = run_playbooks(FIRST / "ansible-playbook", place / "hosts.yml", [place / "play.yml"], options)
    assert played.rc == 0, played.output
    return played.output, sum(stats["changed"] for stats in played.stats.values())


def groups(place: Path, hosts: Sequence[str] = HOSTS) -> set[str]:
    files = [file for host in hosts for file in (place / host).glob("*.toml")]
    return {group for file in files for group in re.findall('^group = "(.*)"$', file.read_text(), re.MULTILINE)}


def brokers(place: Path, host: str) -> list[tuple[str, int]]:
    (file,) = (place / host).glob("*.toml")
    settings = tomllib.loads(file.read_text())
    return [(broker["host"], broker["port"]) for broker in settings.get("brokers") or [settings["broker"]]]


def test_draws_one_group_for_all_hosts_which_read_from_all_brokers_and_shows_it_to_no_one(place):
    configure(place, "--check")
    assert not (place / "secrets").exists(), "check mode drew a group"
    output, _ = configure(place, "-vvv", "--diff")
    (group,) = groups(place)
    assert len(group) == 32
    assert set(group) <= set("0123456789abcdef")
    again, changed = configure(place, "-vvv", "--diff")
    assert (groups(place), changed) == ({group}, 0)
    assert group not in output + again
    _, changed = configure(place, "--check")
    assert changed == 0
    assert (place / "first/subscriber-1.toml").exists()
    assert brokers(place, "first") == [("mosquitto", 8883), ("second.example.org", 8883)]
    assert brokers(place, "second") == [("mosquitto", 8883), ("first.example.org", 8883)]
    mode = (place / "secrets/pki/subscriber_group").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.full
def test_a_host_that_is_added_later_gets_the_same_group(place):
    configure(place, "--limit=first")
    first = groups(place, ["first"])
    configure(place, "--limit=second")
    assert groups(place, ["second"]) == first


@pytest.mark.full
def test_the_group_of_an_earlier_version_is_replaced(place):
    (place / "first").mkdir()
    (place / "first/group").write_text("of-the-first-host")
    configure(place)
    assert len(groups(place)) == 1
    assert not (place / "first/group").exists()


@pytest.mark.full
def test_a_group_in_the_settings_wins(place):
    configure(place, "--extra-vars", '{"subscriber_settings": {"group": "shared-by-two-hosts"}}')
    assert groups(place) == {"shared-by-two-hosts"}


@pytest.mark.full
def test_settings_of_the_broker_apply_to_each(place):
    configure(place, "--extra-vars", '{"subscriber_settings": {"broker": {"keepalive": 7}}}')
    settings = tomllib.loads((place / "second/subscriber-2.toml").read_text())
    assert [broker["keepalive"] for broker in settings["brokers"]] == [7, 7]


@pytest.mark.full
def test_brokers_that_the_roles_did_not_deploy_replace_all(place):
    authority = "-----BEGIN CERTIFICATE-----"
    values = {"cloud_broker_external": ["mqtt.example.org:8884"], "cloud_broker_external_ca": authority}
    configure(place, "--extra-vars", json.dumps(values))
    assert brokers(place, "first") == brokers(place, "second") == [("mqtt.example.org", 8884)]
    settings = tomllib.loads((place / "first/subscriber-1.toml").read_text())
    assert settings["broker"]["ca_file"] == "/etc/face-app/broker_ca.crt"
    assert (place / "first/broker_ca.crt").read_text() == authority
