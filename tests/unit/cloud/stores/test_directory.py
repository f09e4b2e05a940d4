"""A plain folder, with disks that are full, read-only or gone."""

import hashlib
import os
import subprocess
import threading
import time

import pytest

from face_app.cloud.stores import directory
from face_app.cloud.stores.directory import INCOMING, DirectoryStore
from face_app.common.errors import StoreError
from support.faces import drawn_face


def files(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_objects_are_private_files_and_no_temporary_file_remains(tmp_path):
    face = drawn_face()
    DirectoryStore(tmp_path).put(face.key, face.payload, face.sha256)
    assert files(tmp_path) == {face.key: face.payload}
    assert (tmp_path / face.key).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "jetson").stat().st_mode & 0o777 == 0o700


def test_many_threads_with_the_same_face_make_one_object(tmp_path):
    face, outcomes = drawn_face(), []
    store = DirectoryStore(tmp_path)

    def put():
        outcomes.append(store.put(face.key, face.payload, face.sha256).outcome)

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["already"] * 7 + ["created"]
    assert files(tmp_path) == {face.key: face.payload}


def test_a_symbolic_link_does_not_lead_out(tmp_path):
    face, outside = drawn_face(), tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "jetson").symlink_to(outside)
    with pytest.raises(StoreError):
        DirectoryStore(tmp_path / "store").put(face.key, face.payload, face.sha256)
    assert not list(outside.iterdir())


def test_a_folder_that_is_gone_is_not_made_by_a_put(tmp_path):
    face = drawn_face()
    with pytest.raises(StoreError, match="No such file"):
        DirectoryStore(tmp_path / "gone").put(face.key, face.payload, face.sha256)
    assert not (tmp_path / "gone").exists()


def test_a_folder_that_is_gone_is_not_made_by_a_check(tmp_path):
    store = DirectoryStore(tmp_path / "gone")
    with pytest.raises(
        StoreError, match="gone does not exist: No such file or directory; mount its disk, or create it with"
    ):
        store.check()
    assert not (tmp_path / "gone").exists()
    (tmp_path / "gone").mkdir()
    store.check()


def test_check_removes_the_files_of_a_killed_write(tmp_path):
    store = DirectoryStore(tmp_path)
    store.check()
    old, young = (tmp_path / INCOMING / name for name in ("old", "young"))
    for file in (old, young):
        file.write_bytes(b"half")
    long_ago = time.time() - directory.ABANDONED_AFTER - 1
    os.utime(old, (long_ago, long_ago))
    store.check()
    assert not old.exists()
    assert young.exists()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_or_read_only_disk_is_an_error_that_heals(tmp_path):
    small, large = drawn_face(), os.urandom(2_000_000)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=True)
    try:
        store = DirectoryStore(tmp_path)
        with pytest.raises(StoreError, match=r"only \d+ of 2000000|No space left"):
            store.put("quarantine/large/x.bin", large, hashlib.sha256(large).hexdigest())
        assert files(tmp_path) == {}
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        with pytest.raises(StoreError, match="Read-only"):
            store.check()
        with pytest.raises(StoreError, match="Read-only"):
            store.put(small.key, small.payload, small.sha256)
        subprocess.run(["mount", "-o", "remount,rw", tmp_path], check=True)
        store.check()
        assert store.put(small.key, small.payload, small.sha256).outcome == "created"
    finally:
        subprocess.run(["umount", tmp_path], check=True)
