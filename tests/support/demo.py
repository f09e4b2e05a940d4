"""The deployment that `bin/demo` makes on this machine, as the end-to-end tests use it."""

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from face_app.common.wire import face_of_key

ROOT = Path(__file__).parents[2]
INVENTORY = "inventory/demo"
EDGE, SUBSCRIBER, CLOUD_BROKER, MOUNT = "face_app", "subscriber", "cloud_mosquitto", Path("/mnt/face-app")
REPRODUCIBLE = ("demo-edge/demo/", "demo-edge/verify/")
"""Prefixes of keys of the faces that `bin/demo` produces again: those of the pinned clips, and the test card."""
LIST = ("docker", "exec", SUBSCRIBER, "face-app", "bucket", "list")


def run(*command: object, check: bool = True, seconds: float = 3600) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, check=False, capture_output=True, text=True, timeout=seconds
    )
    if check and done.returncode:
        pytest.fail(f"{command} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    return done.stdout


def playbook(name: str, *arguments: str, core: str = ".venv") -> dict[str, dict[str, int]]:
    """Run a playbook, with the ansible-core of a virtual environment, and read its recap: counts by host."""
    output = run(ROOT / core / "bin/ansible-playbook", "-i", INVENTORY, name, *arguments)
    recap = re.findall(r"^(\S+)\s*: (ok=\d+.*)$", output, re.MULTILINE)
    return {host: {key: int(n) for key, n in re.findall(r"(\w+)=(\d+)", counts)} for host, counts in recap}


def keys(prefix: str) -> set[str]:
    """Keys of the faces in the bucket under a prefix, asked through the S3 API."""
    output = run(*LIST, prefix)
    return {key for key in output.splitlines() if face_of_key(key)}


def capture(source: Path, camera: str, *arguments: object) -> list[str]:
    """The command of a second camera beside the running edge, as the operations page has it."""
    inspected = json.loads(run("docker", "inspect", EDGE))[0]
    config = next(each for each in inspected["Config"]["Env"] if each.startswith("FACE_APP_CONFIG="))
    network = next(iter(inspected["NetworkSettings"]["Networks"]))
    command = ["docker", "run", "--rm", f"--network={network}", f"--volumes-from={EDGE}", f"--env={config}"]
    command += [f"--volume={source}:/source:ro", inspected["Config"]["Image"]]
    command += ["capture", "--source=/source", f"--camera={camera}", "--metrics-port=0", "--json"]
    return command + [str(argument) for argument in arguments]


def wait_until_empty(seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = json.loads(run("docker", "exec", EDGE, "face-app", "health", "--json", check=False) or "{}")
        if state.get("facts", {}).get("waiting") == 0:
            return
        time.sleep(1)
    pytest.fail(f"faces still wait after {seconds} s: {state}")


def deployed() -> bool:
    present = run("docker", "ps", "-aq", "--filter", f"name=^{EDGE}$")
    kept = run("docker", "volume", "ls", "-q", "--filter", "name=^object_store_data$")
    return bool(present.strip() or kept.strip())


def start_engine() -> None:
    """Start Docker as `bin/demo` does: an engine that is down hides containers that start with it."""
    run(ROOT / ".venv/bin/ansible-playbook", "-i", "localhost,", "-c", "local", "tests/molecule/engine.yml")


def remove_earlier_demo() -> None:
    """Remove a demo that another run left, unless it contains faces that `bin/demo` cannot produce again."""
    cure = "a demo with faces of its own, or its data, is on this machine: bin/demo down --purge, then test again"
    deadline = time.monotonic() + 60
    while (listed := subprocess.run((*LIST, ""), check=False, capture_output=True, text=True)).returncode:
        if time.monotonic() > deadline:
            pytest.fail(f"{cure}\n{listed.stderr}")
        time.sleep(1)
    wait_until_empty()
    if own := [key for key in keys("") if not key.startswith(REPRODUCIBLE)]:
        pytest.fail(f"{cure}\n{own[0]}")
    run("bin/demo", "down", "--purge", "--keep-images")
