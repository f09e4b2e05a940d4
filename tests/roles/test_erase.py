"""playbooks/erase.yml with the real program; its `docker exec` runs it here instead of in a container."""

import pytest
import yaml

from support.cloud_host import HOST, cloud_host
from support.faces import drawn_face
from support.playbook import FIRST, ROOT, run_playbooks

DOCKER = """# docker exec -i subscriber face-app ...
shift 4
export FACE_APP_ERASURE__STALENESS=0.001
"""
FACES = [drawn_face(number, edge=edge) for number, edge in ((1, "jetson"), (2, "jetson"), (3, "nano"))]


@pytest.fixture
def play(tmp_path, monkeypatch):
    store = cloud_host(tmp_path, FACES, DOCKER, monkeypatch)
    inventory = {"edge": {"hosts": {}}, "cloud": {"hosts": {"here": HOST}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))

    def run(values, *options):
        (tmp_path / "values.yml").write_text(yaml.safe_dump(values))
        extra = ("-e", f"@{tmp_path / 'values.yml'}", *options)
        return run_playbooks(FIRST / "ansible-playbook", tmp_path, [ROOT / "playbooks/erase.yml"], extra), stored(store)

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
