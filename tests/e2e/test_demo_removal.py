"""`bin/demo down` removes the deployment; it runs after every test that needs one."""

import os

import pytest

from support.demo import MOUNT, run

pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.geteuid() != 0, reason="deploys on this machine: run as root"),
]


def volumes() -> list[str]:
    return run("docker", "volume", "ls", "--format", "{{.Name}}").split()


def images() -> list[str]:
    """Those of the deployment, its base image included, that no container uses; the scenarios' host is none."""
    used = run("docker", "ps", "-a", "--format", "{{.Image}}").split()
    listed = run("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter=reference=face-app-*")
    return sorted(name for name in set(listed.split()) - set(used) if not name.startswith("face-app-test-host:"))


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
