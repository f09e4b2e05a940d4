"""One call returns the state of all containers, and says of each whether a role may leave it alone."""

import json
import sys

import pytest

from support.plugin import load_plugin

IMAGE, ID = "face-app-capture:0123", "sha256:aa"


@pytest.fixture
def status(monkeypatch):
    name = "ansible.module_utils.container_engine"
    monkeypatch.setitem(sys.modules, name, load_plugin("module_utils/container_engine.py"))
    return load_plugin("modules/container_status.py")


class FakeEngine:
    """Answers with recorded output of the engine; the health checks run as programs."""

    def __init__(self, status, containers, images):
        self._answers = {"container": json.dumps(containers), "image": "\n".join(images)}
        self.health_of_all = lambda checks: [
            status.Health(True, True, "", frozenset({"uplink"}), {"name": name}) for name, _, _ in checks
        ]

    def run(self, command, *_):
        return self._answers[command]


def container(name="face_app", *, policy="unless-stopped", running=True, image=ID):
    return {
        "Name": f"/{name}",
        "Image": image,
        "Config": {
            "Image": IMAGE,
            "Labels": {"face-app.settings": "s", "face-app.options": "o"},
            "Healthcheck": {"Test": ["CMD", "face-app", "health"]},
        },
        "HostConfig": {"RestartPolicy": {"Name": policy}},
        "NetworkSettings": {"Networks": {"faces": {}, "cloud": {}}},
        "State": {"Running": running, "ExitCode": 9, "StartedAt": "now"},
    }


def read(status, *containers, images=(f"{IMAGE} {ID}",)):
    names = [each["Name"].lstrip("/") for each in containers]
    return status._statuses(FakeEngine(status, containers, images), names)


def test_reads_options_networks_and_health(status):
    (found,) = read(status, container())
    assert (found["name"], found["options"], found["networks"]) == ("face_app", "o", ["cloud", "faces"])
    assert (found["live"], found["capabilities"], found["complete"]) == (True, ["uplink"], True)


@pytest.mark.parametrize("changed", [{"policy": "no"}, {"policy": "always"}, {"image": "sha256:bb"}])
def test_a_container_that_differs_from_a_swapped_one_is_not_complete(status, changed):
    assert not read(status, container(**changed))[0]["complete"]


@pytest.mark.parametrize("rest", ["face_app.next", "face_app.previous"])
def test_remains_of_an_interrupted_swap_leave_it_incomplete(status, rest):
    assert not read(status, container(), container(rest, running=False))[0]["complete"]


def test_a_container_that_ended_is_not_live_and_names_its_code(status):
    first, second = read(status, container("ended", running=False), container("other"))
    assert (first["live"], first["reason"]) == (False, "does not run; it ended with code 9")
    assert (second["live"], second["facts"]) == (True, {"name": "other"})


def test_runs_the_checks_of_all_containers_and_reads_each(tmp_path, monkeypatch):
    engine = load_plugin("module_utils/container_engine.py")
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\n[ "$2" = up ] && echo \'{"live": 1}\' && exit 0\necho broken >&2\nexit 1\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    up, down = engine.Engine(None).health_of_all([("up", ["true"], False), ("down", ["true"], True)])
    assert (up.ready, up.reason) == (True, "")
    assert (down.live, down.reason) == (False, "broken")
