"""The main job on this machine: Ansible deploys both ends, faces of a real clip arrive in the bucket.

One deployment serves all tests of the folder, in this order: deploy and play, deploy again, cut the cloud off, take the
mount away, replace every container, audit, send a known picture; then the gallery and the removal, in files of their
own. The images stay for the next run: their tags are hashes of their content. The last test, of the full tier, removes
them too.
"""

import json
import os
import subprocess
import time
import urllib.request

import pytest
from PIL import Image

from face_app import __version__
from face_app.common.wire import face_of_key
from support.demo import CLOUD_BROKER, EDGE, MOUNT, SUBSCRIBER, capture, keys, playbook, run, wait_until_empty

pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.geteuid() != 0, reason="deploys on this machine: run as root"),
]


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
def test_the_second_core_changes_nothing(demo):
    for host, counts in playbook("site.yml", core=".venv-next").items():
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
