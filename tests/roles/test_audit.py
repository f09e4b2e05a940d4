"""playbooks/audit.yml with the real program; its `docker exec` runs it here instead of in a container."""

import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from support.faces import drawn_face
from support.playbook import ROOT, run_playbooks

DOCKER = """#!/bin/sh
# docker exec [-i] CONTAINER face-app ...
[ "$2" = -i ] && shift
shift 3
[ "$1" != ledger ] || exec cat {ledger}
exec env PYTHONPATH={path} FACE_APP_CONFIG={config} {python} -m face_app "$@"
"""
FACES = [drawn_face(number, edge="jetson") for number in (1, 2)]


@pytest.fixture
def play(tmp_path, monkeypatch):
    store, programs = tmp_path / "store", tmp_path / "programs"
    programs.mkdir()
    for face in FACES:
        (store / face.key).parent.mkdir(parents=True, exist_ok=True)
        (store / face.key).write_bytes(face.payload)
    (tmp_path / "cloud.toml").write_text(f'[store]\nkind = "directory"\npath = "{store}"\n')
    path = os.pathsep.join(str(ROOT / each) for each in ("src", "tests"))
    ledger = tmp_path / "ledger"
    text = DOCKER.format(ledger=ledger, path=path, config=tmp_path / "cloud.toml", python=sys.executable)
    (programs / "docker").write_text(text)
    (programs / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
    inventory = {"edge": {"hosts": {"box": {**host, "face_app_edge_name": "jetson"}}}, "cloud": {"hosts": {"vm": host}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    program = Path(sys.executable).with_name("ansible-playbook")

    def run(lines, *options):
        ledger.unlink(missing_ok=True)
        if lines:
            ledger.write_text("".join(json.dumps(line) + "\n" for line in lines))
        played = run_playbooks(program, tmp_path, [ROOT / "playbooks/audit.yml"], options)
        report = store / "audits/jetson.json"
        return played, json.loads(report.read_text()) if report.exists() else None

    return run


def ledger_of(faces, last):
    header = {"format": 1, "edge": "jetson", "outboxes": {faces[0].id.outbox: last}, "complete_since": None}
    return [header, *(entry(face) for face in faces)]


def entry(face):
    return {
        "id": str(face.id),
        "key": face.key,
        "sha256": face.sha256,
        "state": "stored",
        "reason": "",
        "captured_at": face.metadata.captured_at.isoformat(),
    }


@pytest.mark.full
def test_check_publishes_nothing_and_a_run_leaves_a_report_with_the_ledger(play):
    lines = ledger_of(FACES, 2)
    played, report = play(lines, "--check")
    assert (played.rc, report) == (0, None)
    played, report = play(lines)
    assert played.rc == 0, played.output
    (outbox,) = report["outboxes"]
    assert (outbox["ledger"], outbox["counts"]["stored"]) == (True, 2)


@pytest.mark.full
def test_an_edge_without_an_answer_is_audited_without_its_ledger(play):
    played, report = play([])
    assert played.rc == 0, played.output
    assert [each["ledger"] for each in report["outboxes"]] == [False]


def test_a_missing_face_fails_and_is_published(play):
    missing = drawn_face(3, edge="jetson")
    played, report = play(ledger_of([*FACES, missing], 3))
    assert played.rc != 0
    assert report["exit_code"] == 9
    assert "jetson" in played.output
