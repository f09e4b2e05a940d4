"""Playbooks that check hosts before they change them."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from face_app.common.wire import RESERVED
from support.playbook import CORES, FIRST, ON_SECOND, ROOT, SECOND, run_playbooks

EXAMPLE = ROOT / "inventory/example"
LOCAL = {"ansible_connection": "local", "ansible_host": "localhost", "ansible_python_interpreter": "/usr/bin/python3"}


def test_reaches_only_the_hosts_of_a_playbook():
    expected = {"edge.yml": {"jetson"}, "cloud.yml": {"face-server"}, "site.yml": {"jetson", "face-server"}}
    command = [FIRST / "ansible-playbook", "-i", EXAMPLE, *expected, "--list-hosts"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    parts = [part.splitlines() for part in listed.split("\nplaybook: ")[1:]]
    found = {lines[0]: {line.strip() for line in lines if line.startswith("      ")} for lines in parts}
    assert found == expected


@pytest.mark.parametrize("core", CORES)
def test_checks_a_host_once_in_a_run(tmp_path, core):
    variables = {**LOCAL, "cloud_broker_port": 0, "preflight_free_mib": 1}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": variables}}))
    preflight = ROOT / "playbooks/preflight.yml"
    # Check mode accepts the addresses and the secrets of the example.
    options = ["-i", str(tmp_path / "hosts.yml"), "--check"]
    played = run_playbooks(core / "ansible-playbook", EXAMPLE, [preflight, preflight], options)
    assert played.rc == 0, played.errors or played.output[-2000:]
    passed = [host for task in played.results for host, result in task.items() if "preflight_passed" in str(result)]
    assert sorted(passed) == ["face-server", "jetson"]


REQUIRED = {
    "jetson": ["face_app_cloud_address", "face_app_broker_password", "face_app_forwarder_password"],
    "face-server": ["face_app_cloud_address", "face_app_s3_access_key", "face_app_s3_secret_key"],
}
INSTEAD = {
    "face_app_cloud_address": ["edge_broker_cloud_address"],
    "face_app_broker_password": ["edge_broker_password", "capture_broker_password"],
    "face_app_forwarder_password": ["edge_broker_forwarder_password"],
    "face_app_s3_access_key": ["object_storage_access_key", "subscriber_access_key"],
    "face_app_s3_secret_key": ["object_storage_secret_key", "subscriber_secret_key"],
}


MISSING = [(host, name) for host, names in REQUIRED.items() for name in names]


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Return the errors of each host; each lacks one value, has role variables in place of all, or has an example's."""
    place = tmp_path_factory.mktemp("preflight")
    hosts = {f"{host}-{name}": dict.fromkeys(set(REQUIRED[host]) - {name}, "given") for host, name in MISSING}
    hosts["jetson-instead"] = {name: "given" for shared in REQUIRED["jetson"] for name in INSTEAD[shared]}
    hosts["face-server-example"] = dict.fromkeys(REQUIRED["face-server"], "given") | {
        "face_app_s3_secret_key": "change-me"
    }
    everywhere = {**LOCAL, "preflight_free_mib": 1, "cloud_broker_port": 0}
    groups = {
        group: {"hosts": {host: values for host, values in hosts.items() if host.startswith(kind)}}
        for group, kind in {"edge": "jetson", "cloud": "face-server"}.items()
    }
    (place / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": everywhere}, **groups}))
    played = run_playbooks(FIRST / "ansible-playbook", place, [ROOT / "playbooks/preflight.yml"])
    return {
        host: [str(task[host]["msg"]) for task in played.results if task.get(host, {}).get("failed")] for host in hosts
    }


@pytest.mark.parametrize(("host", "name"), MISSING)
def test_names_a_missing_value_in_one_line(errors, host, name):
    (error,) = errors[f"{host}-{name}"]
    assert error.startswith(f"{host}-{name} has no {name}. Set it in ")
    assert "\n" not in error


def test_accepts_role_variables_in_place_of_a_shared_value(errors):
    assert errors["jetson-instead"] == []


def test_refuses_a_secret_of_the_example(errors):
    (error,) = errors["face-server-example"]
    assert "face-server-example still has change-me in face_app_s3_secret_key. Set" in error


# What the modules read on a host: a board that this machine is not.
BOARD = """#!/bin/sh
exec env PYTHONPATH={place} {place}/python3 "$@"
"""
MACHINE = """
import os, platform
real = os.uname()
os.uname = lambda: os.uname_result((*real[:4], "{machine}"))
platform.machine = lambda: "{machine}"
platform.architecture = lambda *_: ("{bits}bit", "ELF")
"""


def board(place: Path, machine: str, bits: int) -> dict[str, str]:
    """A host whose Python sees another processor."""
    place.mkdir()
    (place / "sitecustomize.py").write_text(MACHINE.format(machine=machine, bits=bits))
    (place / "python3").symlink_to("/usr/bin/python3")
    (place / "python").write_text(BOARD.format(place=place))
    (place / "python").chmod(0o755)
    return {"ansible_python_interpreter": str(place / "python")}


def test_refuses_32_bit_boards_at_once(tmp_path):
    given = dict.fromkeys(REQUIRED["jetson"] + REQUIRED["face-server"], "given")
    inventory = {
        "all": {"vars": {**LOCAL, **given, "cloud_broker_port": 0}},
        "edge": {"hosts": {"old-pi": board(tmp_path / "old", "armv7l", 32)}},
        # A 64-bit kernel under a 32-bit Raspberry Pi OS.
        "cloud": {"hosts": {"half-pi": board(tmp_path / "half", "aarch64", 32)}},
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    played = run_playbooks(FIRST / "ansible-playbook", tmp_path / "hosts.yml", [ROOT / "playbooks/preflight.yml"])
    found = {host: result["msg"] for task in played.results for host, result in task.items() if result.get("failed")}
    assert found["old-pi"].startswith(
        "old-pi is armv7l with a 32-bit system; the programs need 64-bit ARM or x86. If the"
    )
    assert found["half-pi"].startswith("half-pi is aarch64 with a 32-bit system; the programs need")
    assert "Install the 64-bit system of this board" in found["half-pi"]
    # Before anything that takes time or needs an engine.
    assert set(played.results[-1]) == {"old-pi", "half-pi"}


def test_refuses_the_engine_of_jetpack_4_6_with_the_cure(tmp_path):
    (tmp_path / "docker").write_text('#!/bin/sh\n[ "$1" != info ] || printf "/var/lib/docker\\n20.10.7\\n"\n')
    (tmp_path / "docker").chmod(0o755)
    given = dict.fromkeys(REQUIRED["jetson"], "given") | {"preflight_free_mib": 1, "ansible_become": False}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"edge": {"hosts": {"jetson": {**LOCAL, **given}}}}))
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    preflight = [ROOT / "playbooks/preflight.yml"]
    played = run_playbooks(FIRST / "ansible-playbook", tmp_path / "hosts.yml", preflight, environment=environment)
    (error,) = played.errors
    assert error.startswith("jetson has Docker 20.10.7, which")
    assert "install --only-upgrade docker.io" in error


BAD_NAMES = [*sorted(RESERVED), "box\n", "a.b", "-a", "é", "a/b", "a" * 64]
PLACES = {
    "edge": lambda name: {"face_app_edge_name": name},
    "camera": lambda name: {"capture_camera": name},
    "further": lambda name: {"face_app_further_cameras": [{"name": name, "source": "/dev/video9"}]},
    "subscriber": lambda name: {"subscriber_names": ["subscriber-1", name], "cloud_broker_port": 0},
}


ALL_PAIRS = tuple((place, number) for place in PLACES for number in range(len(BAD_NAMES)))
EACH_NAME = tuple((list(PLACES)[number % len(PLACES)], number) for number in range(len(BAD_NAMES)))
"""Each name in one place, each place with two or three names."""


@pytest.mark.parametrize(
    ("core", "pairs"),
    [
        pytest.param(FIRST, EACH_NAME, id="first core, each name"),
        pytest.param(FIRST, ALL_PAIRS, id="first core", marks=pytest.mark.full),
        pytest.param(SECOND, ALL_PAIRS, id="second core", marks=ON_SECOND),
    ],
)
def test_refuses_names_that_topics_and_keys_cannot_have(tmp_path, core, pairs):
    given = dict.fromkeys(REQUIRED["jetson"] + REQUIRED["face-server"], "given")
    names = {f"{place}-{number}": BAD_NAMES[number] for place, number in pairs}
    hosts = {host: PLACES[host.partition("-")[0]](name) for host, name in names.items()}
    groups = {
        "edge": {"hosts": {host: values for host, values in hosts.items() if "subscriber" not in host}},
        "cloud": {"hosts": {host: values for host, values in hosts.items() if "subscriber" in host}},
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": {**LOCAL, **given}}, **groups}))
    played = run_playbooks(core / "ansible-playbook", tmp_path, [ROOT / "playbooks/preflight.yml"])
    failed = {
        host: item["msg"]
        for task in played.results
        for host, result in task.items()
        for item in result.get("results", [])
        if item.get("failed")
    }
    assert set(failed) == set(names), played.output[-3000:]
    for host, message in failed.items():
        assert message.startswith(f"{host} has the name ")
        assert "\n" not in message


TOGETHER = {
    "address": ({}, {"ansible_host": "localhost"}, "Set ansible_host or cloud_broker_public_address of each host"),
    "names": ({"subscriber_names": ["subscriber-2"]}, {}, "have subscribers named subscriber-2, subscriber-2."),
    "store": ({"face_app_own_store": True}, {"face_app_own_store": "yes"}, "a and b have face_app_own_store"),
    "nothing": ({"face_app_own_store": True}, {}, ""),
}


@pytest.mark.full
@pytest.mark.parametrize("what", TOGETHER)
def test_refuses_hosts_of_the_cloud_that_share_what_each_must_have_alone(tmp_path, what):
    first, second, message = TOGETHER[what]
    given = dict.fromkeys(REQUIRED["face-server"], "given") | {"preflight_free_mib": 1, "cloud_broker_port": 0}
    hosts = {"a": first, "b": {"ansible_host": "127.0.0.1", **second}}
    inventory = {"all": {"vars": {**LOCAL, **given}}, "cloud": {"hosts": hosts}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    # For one host: both are this machine, which another check refuses.
    options = ["--limit=a"]
    played = run_playbooks(FIRST / "ansible-playbook", tmp_path, [ROOT / "playbooks/preflight.yml"], options)
    assert [message in error for error in played.errors] == ([True] if message else []), played.errors


def test_refuses_two_names_of_one_machine_in_a_group(tmp_path):
    values = {**LOCAL, **dict.fromkeys(REQUIRED["jetson"] + REQUIRED["face-server"], "given"), "preflight_free_mib": 1}
    inventory = {
        "all": {"vars": {**values, "cloud_broker_port": 0}},
        "edge": {"hosts": {"jetson": {}, "garden": {}}},
        "cloud": {"hosts": {"face-server": {}}},
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    played = run_playbooks(FIRST / "ansible-playbook", tmp_path, [ROOT / "playbooks/preflight.yml"], ["--check"])
    assert {host: counts["failures"] for host, counts in played.stats.items()} == {
        "jetson": 1,
        "garden": 1,
        "face-server": 0,
    }
    assert "jetson and garden of the inventory are one machine" in played.output
