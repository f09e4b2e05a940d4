"""playbooks/audit.yml with the real program; its `docker exec` runs it here instead of in a container."""

import json
from datetime import timedelta

import pytest
import yaml

from support.cloud_host import HOST, cloud_host
from support.faces import TAKEN, drawn_face
from support.playbook import FIRST, ROOT, run_playbooks

DOCKER = """# docker exec [-i] CONTAINER face-app ...
[ "$2" = -i ] && shift
shift 3
[ "$1" != ledger ] || exec cat {ledger}
"""
FACES = [drawn_face(number, edge="jetson") for number in (1, 2)]
BEFORE = drawn_face(1, edge="nano", captured_at=TAKEN - timedelta(days=2))


@pytest.fixture
def play(request, tmp_path, monkeypatch):
    ledger = tmp_path / "ledger"
    store = cloud_host(tmp_path, getattr(request, "param", FACES), DOCKER.format(ledger=ledger), monkeypatch)
    inventory = {"edge": {"hosts": {"box": {**HOST, "face_app_edge_name": "jetson"}}}, "cloud": {"hosts": {"vm": HOST}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))

    def run(lines, *options):
        ledger.unlink(missing_ok=True)
        if lines:
            ledger.write_text("".join(json.dumps(line) + "\n" for line in lines))
        played = run_playbooks(FIRST / "ansible-playbook", tmp_path, [ROOT / "playbooks/audit.yml"], options)
        report = store / "audits/jetson.json"
        return played, json.loads(report.read_text()) if report.exists() else None

    return run


def ledger_of(faces, last, complete_since=None):
    header = {"format": 1, "edge": "jetson", "outboxes": {faces[0].id.outbox: last}, "complete_since": complete_since}
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


@pytest.mark.parametrize("play", [[BEFORE, FACES[1]]], indirect=True)
def test_the_faces_of_a_former_name_are_no_gap(play):
    lines = ledger_of(FACES[1:], 2, (TAKEN - timedelta(days=1)).isoformat())
    for former, code in ([], 9), (["nano"], 0):
        played, report = play(lines, "-e", json.dumps({"face_app_former_edge_names": former}))
        assert (report["exit_code"], played.rc == 0) == (code, code == 0), played.errors
