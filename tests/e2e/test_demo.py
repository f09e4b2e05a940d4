"""The main job on this machine: Ansible deploys both ends, faces of a real clip arrive in the bucket.

One deployment serves all tests, in this order: deploy and play, deploy again, cut the cloud off, take the mount
away, replace every container, audit, send a known picture, remove everything. The images stay for the next run: their
tags are hashes of their content. The last test, of the full tier, removes them too.
"""

import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from face_app import __version__
from face_app.common.wire import face_of_key
from support.clips import photo

ROOT = Path(__file__).parents[2]
INVENTORY = "inventory/demo"
EDGE, SUBSCRIBER, CLOUD_BROKER, MOUNT = "face_app", "subscriber", "cloud_mosquitto", Path("/mnt/face-app")

pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.geteuid() != 0, reason="deploys on this machine: run as root"),
]


def run(*command: object, check: bool = True, seconds: float = 3600) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, check=False, capture_output=True, text=True, timeout=seconds
    )
    if check and done.returncode:
        pytest.fail(f"{command} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    return done.stdout


def playbook(name: str, *arguments: str) -> dict[str, dict[str, int]]:
    """Run a playbook and read its recap: counts by host."""
    output = run(ROOT / ".venv/bin/ansible-playbook", "-i", INVENTORY, name, *arguments)
    recap = re.findall(r"^(\S+)\s*: (ok=\d+.*)$", output, re.MULTILINE)
    return {host: {key: int(n) for key, n in re.findall(r"(\w+)=(\d+)", counts)} for host, counts in recap}


def keys(prefix: str) -> set[str]:
    """Keys of the faces in the bucket under a prefix, asked through the S3 API."""
    output = run("docker", "exec", SUBSCRIBER, "face-app", "bucket", "list", prefix)
    return {key for key in output.splitlines() if face_of_key(key)}


@pytest.fixture
def three_faces(tmp_path: Path) -> Path:
    """A folder with a picture of three: in a loop they come every two seconds, played fast as often as it is read."""
    (tmp_path / "faces").mkdir()
    return photo(tmp_path / "faces" / "three.png", faces=3).parent


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


@pytest.fixture(scope="module")
def demo() -> Iterator[dict[str, Any]]:
    """The summary of the first `bin/demo`. Everything is removed at the end; the engine and the images stay."""
    if _engine() and _deployed():
        pytest.fail("a demo or its data is on this machine: bin/demo down --purge, then test again")
    try:
        yield json.loads(run("bin/demo", "--json").splitlines()[-1])
    finally:
        if _deployed():
            run("bin/demo", "down", "--purge", "--keep-images")


def _deployed() -> bool:
    present = run("docker", "ps", "-aq", "--filter", f"name=^{EDGE}$")
    kept = run("docker", "volume", "ls", "-q", "--filter", "name=^object_store_data$")
    return bool(present.strip() or kept.strip())


def _engine() -> bool:
    try:
        return subprocess.run(["docker", "info"], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def test_every_face_of_the_clips_is_in_the_bucket(demo):
    assert demo["frames"] == 472 + 72 + 105
    assert demo["captured"] >= 4, "one person, one person, two people"
    assert demo["stored"] == demo["captured"]
    assert (demo["waiting"], demo["refused"]) == (0, 0)
    assert len(keys("demo-edge/demo/")) == demo["captured"]
    assert 0 < demo["latency_ms"]["p50"] <= demo["latency_ms"]["p99"]


def test_the_links_open_and_the_contact_sheet_is_a_picture(demo):
    assert len(demo["urls"]) == 3
    for url in demo["urls"]:
        with urllib.request.urlopen(url) as answer:
            assert answer.headers["Content-Type"] == "image/jpeg"
            assert answer.read(3) == b"\xff\xd8\xff"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url.partition("?")[0])
    with Image.open(demo["contact_sheet"]) as sheet:
        assert sheet.width > 500


def test_a_second_deploy_changes_nothing(demo):
    for host, counts in playbook("site.yml").items():
        assert (counts["changed"], counts["failed"], counts["unreachable"]) == (0, 0, 0), host


@pytest.mark.full
def test_check_mode_is_clean_on_the_deployed_machine(demo):
    for host, counts in playbook("site.yml", "--check").items():
        assert (counts["changed"], counts["failed"]) == (0, 0), host


@pytest.mark.full
def test_200_faces_of_an_outage_are_exactly_200_objects(demo, three_faces):
    run("docker", "stop", CLOUD_BROKER)
    output = run(*capture(three_faces, "outage", "--loop", "--pace=fast", "--stop-after=200", "--wait=0"), check=False)
    summary = json.loads(output.splitlines()[-1])
    assert (summary["captured"], summary["waiting"]) == (200, 200)
    assert keys("demo-edge/outage/") == set()
    run("docker", "start", CLOUD_BROKER)
    wait_until_empty()
    stored = keys("demo-edge/outage/")
    assert len(stored) == 200
    assert len({face_of_key(key) for key in stored}) == 200


@pytest.mark.full
def test_a_lost_mount_takes_no_face_and_hides_none(demo, tmp_path, three_faces):
    below = tmp_path / "below"
    below.mkdir()
    flow = subprocess.Popen(
        capture(three_faces, "unmounted", "--loop", "--stop-after=40", "--wait=180"), stdout=subprocess.PIPE, text=True
    )
    # A bind that is not recursive shows the folder underneath, whatever is mounted on it; a private one goes on so.
    run("mount", "--bind", "--make-private", MOUNT.parent, below)
    try:
        time.sleep(6)
        run("umount", "-l", MOUNT)
        for _ in range(20):
            assert list((below / MOUNT.name).iterdir()) == []
            time.sleep(0.5)
        summary = json.loads(flow.communicate(timeout=300)[0].splitlines()[-1])
        assert list((below / MOUNT.name).iterdir()) == []
    finally:
        run("umount", below)
    assert (summary["captured"], summary["stored"], summary["waiting"]) == (40, 40, 0)
    assert keys("demo-edge/unmounted/") == {face["key"] for face in summary["faces"]}
    assert "fuse.s3fs" in run("findmnt", "-n", "-o", "FSTYPE", MOUNT)


@pytest.mark.full
def test_every_container_is_replaced_while_faces_flow(demo, three_faces):
    flow = subprocess.Popen(
        capture(three_faces, "redeployed", "--loop", "--stop-after=150", "--wait=240"),
        stdout=subprocess.PIPE,
        text=True,
    )
    for name in (CLOUD_BROKER, "forwarder", SUBSCRIBER, "mosquitto", EDGE):
        time.sleep(2)
        run("docker", "rm", "--force", name)
    changed = playbook("site.yml")
    assert all(counts["changed"] > 0 and counts["failed"] == 0 for counts in changed.values())
    summary = json.loads(flow.communicate(timeout=400)[0].splitlines()[-1])
    assert (summary["captured"], summary["stored"], summary["waiting"]) == (150, 150, 0)
    assert keys("demo-edge/redeployed/") == {face["key"] for face in summary["faces"]}


@pytest.mark.full
def test_a_further_camera_shares_the_outbox(demo, three_faces):
    camera = {"name": "second", "source": "/media", "settings": {"camera": {"loop": True}}}
    further = json.dumps({"face_app_further_cameras": [camera], "capture_media_directory": str(three_faces)})
    try:
        playbook("edge.yml", "-e", further)
        deadline = time.monotonic() + 60
        while len(keys("demo-edge/second/")) < 6:
            assert time.monotonic() < deadline, run("docker", "logs", f"{EDGE}_second", check=False)
            time.sleep(1)
        assert playbook("edge.yml", "-e", further)["demo-edge"]["changed"] == 0
    finally:
        playbook("edge.yml")
    assert not run("docker", "ps", "--all", "--quiet", "--filter", f"name={EDGE}_second")
    wait_until_empty()


def test_the_audit_finds_every_face_that_the_edge_knows(demo, tmp_path):
    ledger = tmp_path / "ledger"
    ledger.write_text(run("docker", "exec", EDGE, "face-app", "ledger"))
    audit = ["docker", "exec", "-i", SUBSCRIBER, "face-app", "audit", "--ledger", "-", "--json"]
    with ledger.open() as faces:
        done = subprocess.run(audit, check=False, stdin=faces, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert (report["holds"], report["proven"]) == (True, True)
    assert report["counts"]["captured"] == report["counts"]["stored"] == len(keys("demo-edge/"))


def test_verify_follows_a_known_picture(demo):
    playbook("playbooks/verify.yml")
    assert len(keys("demo-edge/verify/")) == 1


def test_containers_have_no_more_rights_than_they_need(demo):
    names = run("docker", "ps", "--format", "{{.Names}}").split()
    for name in (EDGE, SUBSCRIBER, CLOUD_BROKER, "mosquitto", "forwarder", "object-store"):
        assert name in names
        inspected = json.loads(run("docker", "inspect", name))[0]
        host = inspected["HostConfig"]
        assert (host["Privileged"], host["ReadonlyRootfs"], host["CapAdd"]) == (False, True, None), name
        assert host["CapDrop"] == ["ALL"], name
        assert host["RestartPolicy"]["Name"] == "unless-stopped", name
        assert host["LogConfig"]["Config"]["max-size"], name
        assert inspected["Config"]["User"] not in {"", "0", "root"}, name
        assert inspected["Config"]["Healthcheck"], name


@pytest.mark.parametrize("name", [EDGE, SUBSCRIBER])
def test_labels_the_image_with_the_version(demo, name):
    labels = json.loads(run("docker", "inspect", name))[0]["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == __version__


def volumes() -> list[str]:
    return run("docker", "volume", "ls", "--format", "{{.Name}}").split()


def images() -> list[str]:
    """Those of the project, its base image included, that no container uses."""
    used = run("docker", "ps", "-a", "--format", "{{.Image}}").split()
    listed = run("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter=reference=face-app-*")
    return sorted(set(listed.split()) - set(used))


def test_down_keeps_data_and_purge_removes_it(demo):
    run("bin/demo", "down", "--keep-images")
    assert "face_app" not in run("docker", "ps", "-a", "--format", "{{.Names}}").split()
    assert "face_app_outbox" in volumes()
    run("bin/demo", "down", "--purge", "--keep-images")
    assert "face_app_outbox" not in volumes()
    assert not os.path.ismount(MOUNT)
    assert images()


@pytest.mark.full
def test_down_removes_the_images_and_purge_also_the_base(demo):
    run("bin/demo", "down")
    assert {name.partition(":")[0] for name in images()} <= {"face-app-base"}
    run("bin/demo", "down", "--purge")
    assert images() == []
