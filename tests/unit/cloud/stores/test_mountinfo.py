"""A descriptor names its mount, also one with a blank, and none once it is unmounted."""

import os
import subprocess

import pytest

from face_app.cloud.stores.mountinfo import mount_of
from face_app.cloud.stores.open_folder import open_path

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")]


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "faces of today"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", "--quiet", folder], check=False)


def test_a_folder_descriptor_knows_its_mount(path):
    with open_path(path, os.O_PATH | os.O_DIRECTORY) as descriptor:
        entry = mount_of(descriptor)
        assert (entry.type, entry.point, entry.read_only) == ("tmpfs", str(path), False)
        subprocess.run(["umount", "--lazy", path], check=True)
        assert mount_of(descriptor) is None


def test_detects_a_read_only_mount(path):
    subprocess.run(["mount", "-o", "remount,ro,bind", path], check=True)
    with open_path(path, os.O_PATH | os.O_DIRECTORY) as descriptor:
        assert mount_of(descriptor).read_only
