"""The batches of a roll-out: which edges a play takes together, and where it stops."""

import json
from pathlib import Path

import pytest
import yaml

from support.playbook import CORES, ROOT, Played, run_playbooks

EDGES = [f"edge-{number}" for number in range(1, 9)]


@pytest.fixture(scope="module")
def playbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plays of redeploy.yml for edges, with a task that fails on one of them instead of their roles."""
    *_, first, second = yaml.safe_load((ROOT / "redeploy.yml").read_text().replace("!unsafe ", ""))
    batches = yaml.safe_load((ROOT / "playbooks/tasks/batches.yml").read_text())
    for play in (first, second):
        del play["become"]
        play.pop("pre_tasks", None)
        del play["roles"]
    first["tasks"] = [{"ansible.builtin.raw": "true"}, *batches]
    swap = {"ansible.builtin.raw": "test {{ inventory_hostname }} != {{ broken }}", "name": "swap"}
    second["tasks"] = [
        swap,
        {"ansible.builtin.debug": {"msg": "{{ ansible_play_batch | join(' ') }}"}, "name": "batch"},
    ]
    place = tmp_path_factory.mktemp("batches") / "playbook.yml"
    place.write_text(yaml.safe_dump([first, second]))
    return place


def roll_out(playbook: Path, program: Path, *, away: str = "", broken: str = "none", **values: object) -> Played:
    """Run the plays; one edge may be away, and one may fail."""
    hosts = {name: {"ansible_connection": "local"} for name in EDGES}
    if away:
        hosts[away] = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": "1"}
    inventory = playbook.parent / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"edge": {"hosts": hosts, "vars": {"broken": broken, **values}}}))
    return run_playbooks(program / "ansible-playbook", inventory, [playbook])


def batches(played: Played) -> list[list[str]]:
    """List the edges of each batch that ended."""
    found = [result.get("msg", "").split() for hosts in played.results for result in hosts.values()]
    return [batch for number, batch in enumerate(found) if set(batch) & set(EDGES) and batch not in found[:number]]


@pytest.mark.parametrize("program", CORES)
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [EDGES[:1], EDGES[1:3], EDGES[3:]]),
        pytest.param(
            {"face_app_serial": [2, "50%", "100%"]}, [EDGES[:2], EDGES[2:6], EDGES[6:]], marks=pytest.mark.full
        ),
        pytest.param({"face_app_serial": "100%"}, [EDGES], marks=pytest.mark.full),
        pytest.param({"face_app_serial": 4}, [EDGES[:4], EDGES[4:]], marks=pytest.mark.full),
    ],
    ids=["default", "own", "all", "number"],
)
def test_edges_follow_in_batches(playbook, program, values, expected):
    played = roll_out(playbook, program, **values)
    assert played.rc == 0, played.output
    assert batches(played) == expected


def test_an_edge_that_fails_ends_the_run_before_the_next_batch(playbook):
    played = roll_out(playbook, CORES[0].values[0], broken=EDGES[1])
    assert played.rc != 0
    assert batches(played) == [EDGES[:1]]
    swapped = [host for hosts in played.results for host, result in hosts.items() if result.get("rc") is not None]
    assert not set(swapped[len(EDGES) :]) & set(EDGES[3:]), "no edge of a later batch was touched"


@pytest.mark.full
def test_an_edge_that_is_away_is_no_canary(playbook):
    played = roll_out(playbook, CORES[0].values[0], away=EDGES[0])
    assert batches(played) == [EDGES[1:2], EDGES[2:3], EDGES[3:]]


@pytest.mark.parametrize(
    "value", ["some", pytest.param(0, marks=pytest.mark.full), pytest.param([], marks=pytest.mark.full)]
)
def test_batches_that_are_none_are_refused_before_an_edge_changes(playbook, value):
    played = roll_out(playbook, CORES[0].values[0], face_app_serial=value)
    assert played.rc != 0
    assert f"face_app_serial is {json.dumps(value)}" in played.error
    assert not batches(played)
