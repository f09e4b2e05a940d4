"""The modules read the health of a program of this version and of the version before."""

import json
from types import ModuleType, SimpleNamespace

import pytest

from face_app.common.health_server import Capability, Health
from support.plugin import load_plugin

FORMER = {"ready": True, "facts": {"waiting": 2}, "problem": "", "fault": "", "unproven": {}}


@pytest.fixture(scope="module")
def engine() -> ModuleType:
    return load_plugin("module_utils/container_engine.py")


@pytest.fixture
def health(engine):
    """Run a health check that ends with a code and prints an output."""

    def run(output, code=0, *, reports=True):
        commands = []
        done = SimpleNamespace(run_command=lambda command: (commands.append(command), (code, output, ""))[1])
        result = engine.Engine(done).health("face_app", ["face-app", "health"], reports=reports)
        assert commands[0][-1] == ("--json" if reports else "health")
        return result

    return run


@pytest.mark.parametrize(("live", "ready", "reason"), [(True, True, ""), (True, False, "x"), (False, False, "x")])
def test_reads_the_output_of_this_version(health, live, ready, reason):
    state = Health(live, ready, reason, frozenset({Capability.FRAMES, Capability.UPLINK}), {"waiting": 2})
    read = health(json.dumps(state.document()) + "\n", 0 if ready else 1)
    assert read == (live, ready, reason, {"frames", "uplink"}, {"waiting": 2})


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, (True, True, "", {"frames", "uplink", "receipts", "objects"})),
        ({"unproven": {"way": "closed", "receipts": "none"}}, (True, True, "", {"frames", "objects"})),
        (
            {"ready": False, "problem": "no frame", "unproven": {"frames": "none"}},
            (True, False, "no frame", {"uplink", "receipts", "objects"}),
        ),
        (
            {"ready": False, "problem": "no frame", "fault": "no locks", "unproven": {"way": "no locks"}},
            (False, False, "no locks", {"frames", "receipts", "objects"}),
        ),
        ({"ready": False, "facts": {}, "problem": "no answer"}, (False, False, "no answer", set())),
    ],
)
def test_reads_the_output_of_an_earlier_version(health, document, expected):
    assert health(json.dumps(FORMER | document) + "\n", 0 if expected[1] else 1)[:4] == expected


@pytest.mark.parametrize("output", ["", "Traceback\n", "[]", '"text"', '{"other": 1}', "12"])
@pytest.mark.parametrize("reports", [True, False])
def test_other_output_leaves_the_exit_code(health, output, reports):
    assert health(output, 0, reports=reports)[:4] == (True, True, "", set())
    failed = health(output, 1, reports=reports)
    assert failed[:2] == (False, False)
    assert failed.reason == (output.strip() or "it does not answer")
