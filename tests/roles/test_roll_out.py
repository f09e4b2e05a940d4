"""A roll-out to five edges while faces flow: a version that does not work on the second one stops there."""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from support.deployment import SUBSCRIBER, Deployment, docker, inspect, only_error

EDGES = [f"rd-edge-{number}" for number in range(1, 6)]
CAPTURE = {edge: f"{edge.replace('-', '_')}_face_app" for edge in EDGES}
LOOP = "            for frame, result in results:\n"
BROKEN_ON_SECOND = f'            if settings.edge == "{EDGES[1]}":\n                raise SystemExit(9)\n{LOOP}'

pytestmark = [
    pytest.mark.host,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.geteuid() != 0, reason="deploys on this machine: run as root"),
]


def values_of(edge: str, media: str) -> dict[str, Any]:
    """Return the variables of one of several edges on this machine."""
    name, etc = edge.replace("-", "_"), f"/etc/face-app/{edge}"
    return {
        # Preflight refuses several edges on one machine; here each has names of its own.
        "preflight_passed": True,
        "certificates_metrics_directory": f"{etc}/metrics",
        "container_versions_directory": f"{etc}/containers",
        "images_directory": f"/var/cache/face-app/{edge}",
        # They have one engine: each would build the same image, and remove those of the others.
        "images_source": "ship",
        "images_keep": 20,
        "edge_broker_container": f"{name}_mosquitto",
        "edge_broker_forwarder_container": f"{name}_forwarder",
        "edge_broker_network": f"{name}_faces",
        "edge_broker_directory": f"{etc}/edge_broker",
        "capture_container": CAPTURE[edge],
        "capture_broker_host": f"{name}_mosquitto",
        "capture_networks": [f"{name}_faces"],
        "capture_outbox_volume": f"{name}_outbox",
        "capture_directory": f"{etc}/capture",
        "capture_source": "/media",
        "capture_media_directory": media,
        "capture_settings": {"camera": {"loop": True}},
    }


def ids() -> dict[str, str]:
    return {edge: str(inspect(container)["Id"]) for edge, container in CAPTURE.items()}


def audit(edge: str) -> dict[str, Any]:
    """Compare all faces that an edge committed with the bucket."""
    ledger = docker("exec", CAPTURE[edge], "face-app", "ledger")
    options = ("--edge", edge, "--ledger=-", "--json")
    answer = docker("exec", "-i", SUBSCRIBER, "face-app", "audit", *options, given=ledger, check=False)
    report: dict[str, Any] = json.loads(answer.splitlines()[-1])
    return report


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    made = Deployment(tmp_path_factory.mktemp("roll_out"))
    made.prepare()
    hosts = yaml.safe_load((made.inventory / "hosts.yml").read_text())
    hosts["edge"]["hosts"] = {edge: values_of(edge, str(made.home / "media")) for edge in EDGES}
    (made.inventory / "hosts.yml").write_text(yaml.safe_dump(hosts))
    (made.inventory / "group_vars/edge/zz_own.yml").unlink()
    made.settings = {"capture_wait": 300, "subscriber_wait": 300}
    try:
        # All edges together: only the roll-out needs batches.
        with made.having(face_app_serial="100%"):
            first = made.play("site.yml")
        assert first.rc == 0, first.output[-6000:]
        yield made
    finally:
        made.play("playbooks/teardown.yml", "-e", "teardown_purge=true", "-e", "teardown_images=false")


def test_a_version_that_fails_on_the_second_edge_stops_there(deployment):
    before = ids()
    with deployment.changed("src/face_app/edge/commands/capture.py", LOOP, BROKEN_ON_SECOND):
        played = deployment.play("redeploy.yml")
    sys.stdout.write(f"{only_error(played)}\n")
    assert played.rc != 0
    assert CAPTURE[EDGES[1]] in only_error(played)
    assert [edge for edge in EDGES if ids()[edge] != before[edge]] == EDGES[:1], (
        "the first has it, the second rolled back"
    )
    sys.stdout.write(f"{played.stats}\n")
    for edge in EDGES:
        report = audit(edge)
        assert (report["holds"], report["proven"]) == (True, True), report
