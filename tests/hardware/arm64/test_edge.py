"""The edge on the Jetson's architecture, in emulation: edge.yml builds its images, and a face reaches the outbox.

An emulated processor proves that every package and wheel is there for arm64, and that all but onnxruntime, for which
OpenCV's engine replaces, do their work. It does not test a Jetson's camera plugins, its GPU or its speed.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from hardware.arm64.images import BASE, docker, make_base, remove_older_than
from support.clips import visits_clip
from support.playbook import ROOT

NEEDED = ("docker", "mmdebstrap", "arch-test")
EDGE, NETWORK, OUTBOX = "arm64-edge", "arm64_faces", "arm64_outbox"
BROKER, FORWARDER, CAPTURE = CONTAINERS = ("arm64_mosquitto", "arm64_forwarder", "arm64_face_app")
PASSWORD = "of-no-use-elsewhere"


def _missing() -> bool:
    if os.geteuid() != 0 or not all(map(shutil.which, NEEDED)):
        return True
    return subprocess.run(["arch-test", "arm64"], check=False, capture_output=True).returncode != 0


pytestmark = [
    pytest.mark.arm64,
    pytest.mark.timeout(10800),
    pytest.mark.skipif(
        _missing(), reason="runs programs for arm64: needs root, Docker and qemu; bin/test --arm64 installs them"
    ),
]


@dataclass(frozen=True)
class Run:
    """One run of edge.yml.

    Attributes:
        output: Its output.
        seconds: How long it took.
    """

    output: str
    seconds: float

    @property
    def recap(self) -> str:
        return next(line for line in self.output.splitlines() if line.startswith(f"{EDGE} "))


def inventory(folder: Path) -> Path:
    """Write an inventory in which this machine is an edge with a base image for arm64; its files are in `folder`."""
    host = folder / "host"
    settings: dict[str, Any] = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "/usr/bin/python3",
        "face_app_edge_name": EDGE,
        "face_app_cloud_address": "cloud.invalid",
        "images_base_source": "present",
        "images_base_name": BASE,
        "images_extra_ca": os.environ.get("FACE_APP_EXTRA_CA", os.environ.get("PIP_CERT", "")),
        "images_directory": f"{host}/images",
        "images_cache_directory": f"{folder}/contexts",
        # No other image is removed; the test removes its old ones at the end.
        "images_keep": 1000,
        "certificates_metrics_directory": f"{host}/metrics",
        "container_versions_directory": f"{host}/containers",
        "edge_broker_edge": EDGE,
        "edge_broker_cloud_address": "{{ face_app_cloud_address }}",
        "edge_broker_directory": f"{host}/edge_broker",
        "edge_broker_network": NETWORK,
        "edge_broker_container": BROKER,
        "edge_broker_forwarder_container": FORWARDER,
        "edge_broker_password": PASSWORD,
        "edge_broker_forwarder_password": PASSWORD,
        "capture_edge": EDGE,
        "capture_directory": f"{host}/capture",
        "capture_networks": [NETWORK],
        "capture_container": CAPTURE,
        "capture_outbox_volume": OUTBOX,
        "capture_broker_host": BROKER,
        "capture_broker_password": PASSWORD,
        "capture_source": "/media/visits.avi",
        "capture_media_directory": f"{folder}/media",
        "capture_settings": {
            # As fast as it is read: each frame has its turn, however slow the processor.
            "camera": {"loop": True, "pace": "fast"},
            # onnxruntime ends with a segmentation fault when qemu 7.2 imports it, whichever processor it emulates.
            "detector": {"engine": "opencv"},
            # No cloud ever answers; that faces wait is no fault.
            "outbox": {"late_after": 86400},
        },
        # Python alone takes ten seconds to start here.
        "capture_wait": 300,
        "container_wait": 300,
    }
    (folder / "media").mkdir()
    visits_clip(folder / "media/visits.avi", visits=2)
    (folder / "inventory").mkdir()
    hosts = {"edge": {"hosts": {EDGE: settings}}}
    (folder / "inventory/hosts.yml").write_text(yaml.safe_dump(hosts, sort_keys=False))
    return folder / "inventory"


def remove() -> None:
    """Remove the containers, the network and the volume of an edge that was here."""
    for kind, names in (("container", CONTAINERS), ("network", [NETWORK]), ("volume", [OUTBOX])):
        for name in names:
            force = ["--force"] if kind == "container" else []
            subprocess.run(["docker", kind, "rm", *force, name], check=False, capture_output=True)


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Run edge.yml on a new edge. Its containers are removed at the end; its images remain for the next run."""
    folder = tmp_path_factory.mktemp("arm64")
    remove()
    make_base()
    hosts = inventory(folder)
    # Its binds are read by the containers' own user.
    for each in [*folder.parents[:2], folder]:
        each.chmod(0o755)

    def run() -> Run:
        started = time.monotonic()
        program = Path(sys.executable).with_name("ansible-playbook")
        environment = os.environ | {"ANSIBLE_CACHE_PLUGIN": "memory"}
        done = subprocess.run(
            [program, "-i", hosts, "edge.yml"], check=False, capture_output=True, text=True, cwd=ROOT, env=environment
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        return Run(done.stdout, time.monotonic() - started)

    try:
        yield run
        used = docker("ps", "--all", "--filter=name=^arm64_", "--format={{.Image}}").split()
    finally:
        remove()
    # Where nothing came to run, the image before is as good as any.
    if used:
        remove_older_than(used)


@pytest.fixture(scope="module")
def first(play: Any) -> Run:
    """The first run."""
    return play()


def ledger() -> list[dict[str, Any]]:
    """Return the faces in the ledger of the program."""
    lines = docker("exec", CAPTURE, "face-app", "ledger").splitlines()
    return [entry for entry in map(json.loads, lines) if "sha256" in entry]


def test_the_edge_runs_on_arm64(first):
    print(f"edge.yml: {first.seconds:.0f} s\n{first.recap}")
    for container in CONTAINERS:
        assert docker("exec", container, "uname", "-m").strip() == "aarch64"


def test_a_face_of_the_clip_reaches_the_outbox(first):
    deadline = time.monotonic() + 600
    while not (faces := ledger()):
        assert time.monotonic() < deadline, docker("logs", "--tail=20", CAPTURE)
        time.sleep(5)
    print(json.dumps(faces[0], indent=2))
    assert faces[0]["key"].startswith(f"{EDGE}/camera/")
    assert faces[0]["state"] == "waiting"


def test_a_second_run_changes_nothing(first, play):
    second = play()
    print(f"edge.yml again: {second.seconds:.0f} s\n{second.recap}")
    assert "changed=0 " in second.recap
