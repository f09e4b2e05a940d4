"""playbooks/erase.yml with the real program; its `docker exec` runs it here instead of in a container."""

import os
import sys
from pathlib import Path

import pytest
import yaml

from support.faces import drawn_face
from support.playbook import ROOT, run_playbooks

DOCKER = """#!/bin/sh
# docker exec -i subscriber face-app ...
shift 4
exec env PYTHONPATH={path} FACE_APP_CONFIG={config} FACE_APP_ERASURE__STALENESS=0.001 {python} -m face_app "$@"
"""
FACES = [drawn_face(number, edge=edge) for number, edge in ((1, "jetson"), (2, "jetson"), (3, "nano"))]


@pytest.fixture
def play(tmp_path, monkeypatch):
    store, programs = tmp_path / "store", tmp_path / "programs"
    programs.mkdir()
    for face in FACES:
        (store / face.key).parent.mkdir(parents=True, exist_ok=True)
        (store / face.key).write_bytes(face.payload)
    (tmp_path / "cloud.toml").write_text(f'[store]\nkind = "directory"\npath = "{store}"\n')
    path = os.pathsep.join(str(ROOT / each) for each in ("src", "tests"))
    text = DOCKER.format(path=path, config=tmp_path / "cloud.toml", python=sys.executable)
    (programs / "docker").write_text(text)
    (programs / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
    inventory = {"edge": {"hosts": {}}, "cloud": {"hosts": {"here": host}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    program = Path(sys.executable).with_name("ansible-playbook")

    def run(values, *options):
        (tmp_path / "values.yml").write_text(yaml.safe_dump(values))
        extra = ("-e", f"@{tmp_path / 'values.yml'}", *options)
        return run_playbooks(program, tmp_path, [ROOT / "playbooks/erase.yml"], extra), stored(store)

    return run


def stored(store):
    return {face.key for face in FACES if (store / face.key).exists()}


ALL = {face.key for face in FACES}


@pytest.mark.full
def test_check_lists_and_a_run_erases_once(play):
    values = {
        "erase_keys": [FACES[0].key],
        "erase_why": "asked for it",
        "erase_access_key": "a",
        "erase_secret_key": "b",
    }
    played, left = play(values, "--check")
    assert (played.rc, left) == (0, ALL)
    assert FACES[0].key in played.output
    played, left = play(values)
    assert (played.rc, left) == (0, ALL - {FACES[0].key})
    assert "erased: 1 faces" in played.output
    assert "only-for-tests" not in played.output


def test_a_wrong_request_names_what_to_change_and_erases_nothing(play):
    played, left = play({"erase_from": "2026-11-22"})
    assert (played.rc != 0, left) == (True, ALL)
    assert "--edge is missing" in played.output


@pytest.mark.full
def test_a_range_erases_one_edge(play):
    played, left = play({"erase_edge": "jetson", "erase_to": "2026-11-23T00:00:00Z"})
    assert (played.rc, left) == (0, {FACES[2].key})
