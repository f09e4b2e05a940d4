"""A real s3fs mount that disappears, dies, freezes and comes back: never a byte in the folder underneath."""

import errno
import hashlib
import os
import signal
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from face_app.cloud.bucket.operations import ensure
from face_app.cloud.stores import mount as mount_module
from face_app.cloud.stores import open_store, probe
from face_app.common.errors import MessageError, StoreError
from support.faces import drawn_face
from support.ports import free_ports
from support.s3fs import mounted, s3fs_mount
from support.seaweedfs import seaweedfs

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/fuse").exists(), reason="mounting needs root and /dev/fuse"),
    pytest.mark.parametrize("server", ["weed"], indirect=True),
]


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "faces of today"  # mountinfo escapes the blanks
    folder.mkdir()
    yield folder
    assert not mounted(folder)
    assert list(folder.iterdir()) == []


@pytest.fixture
def mount(path, made, server, tmp_path):
    return lambda: s3fs_mount(server, made.bucket, path, log=tmp_path / "s3fs.log")


@pytest.fixture
def settings(made, path):
    return made.model_copy(update={"kind": "mount", "path": path})


@pytest.fixture
def store(settings):
    return open_store(settings)


@pytest.fixture
def objects(s3, made):
    def read():
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket=made.bucket).get("Contents", [])]
        return {key: s3.get_object(Bucket=made.bucket, Key=key)["Body"].read() for key in keys if not key.endswith("/")}

    return read


def test_created_noticed_and_repaired_through_the_mount(store, mount, objects, made, s3):
    face, empty = drawn_face(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    with mount():
        store.check()
        assert store.put(face.key, face.payload, face.sha256).outcome == "created"
        assert store.put(face.key, face.payload, face.sha256).outcome == "already"
        assert store.put("quarantine/empty/none.bin", b"", empty).outcome == "created"
        with pytest.raises(MessageError, match="key-taken"):
            store.put(face.key, b"a collision", hashlib.sha256(b"a collision").hexdigest())
        s3.put_object(Bucket=made.bucket, Key=face.key, Body=b"half an upload")
        assert store.put(face.key, face.payload, face.sha256).outcome == "repaired"
        s3.delete_object(Bucket=made.bucket, Key=face.key)  # s3fs still believes in it
        assert store.put(face.key, face.payload, face.sha256).outcome == "created"
        assert objects() == {face.key: face.payload, "quarantine/empty/none.bin": b""}
        assert s3.head_object(Bucket=made.bucket, Key=face.key)["ContentType"] == "image/jpeg"


def test_several_workers_share_the_mount(store, mount, objects):
    faces, failures = [drawn_face(number, camera=f"camera-{number % 3}") for number in range(1, 25)], []

    def put(mine):
        try:
            assert all(store.put(face.key, face.payload, face.sha256).outcome == "created" for face in mine)
        except (AssertionError, StoreError) as error:
            failures.append(error)

    with mount():
        workers = [threading.Thread(target=put, args=(faces[number::4],)) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not failures
        assert objects() == {face.key: face.payload for face in faces}


def test_without_a_mount_nothing_is_written(store, path):
    face = drawn_face()
    for attempt in (store.check, lambda: store.put(face.key, face.payload, face.sha256)):
        with pytest.raises(StoreError, match="no bucket is mounted there") as error:
            attempt()
        assert str(path) in str(error.value)


def test_a_folder_inside_the_mount_is_not_its_root(settings, mount, path):
    with mount():
        (path / "inside").mkdir()
        with pytest.raises(StoreError, match="no bucket is mounted there"):
            open_store(settings.model_copy(update={"path": path / "inside"})).check()


def test_reports_a_symbolic_link_to_the_mount(settings, mount, path, tmp_path):
    (tmp_path / "link").symlink_to(path)
    with mount(), pytest.raises(StoreError, match=f"symbolic link; set store.path to {path}"):
        open_store(settings.model_copy(update={"path": tmp_path / "link"})).check()


def test_the_mount_taken_away_between_guard_and_write(store, mount, objects, path, monkeypatch):
    """The moment a check-then-use guard cannot see."""
    face = drawn_face()
    with mount() as faces:
        monkeypatch.setattr(store._probe, "check", faces.unmount)
        assert store.put(face.key, face.payload, face.sha256).outcome == "created"
        assert list(path.iterdir()) == []
    assert objects() == {face.key: face.payload}


def test_unmounted_while_faces_flow_then_mounted_again(store, mount, objects, path):
    faces = [drawn_face(number) for number in range(1, 61)]
    waiting, problems, underneath = list(faces), [], []
    lock, ended = threading.Lock(), threading.Event()

    def work():
        while True:
            with lock:
                if not waiting:
                    return
                face = waiting.pop(0)
            try:
                store.put(face.key, face.payload, face.sha256)
            except StoreError as error:
                with lock:
                    waiting.append(face)
                    problems.append(str(error))
                ended.wait(0.05)

    with ExitStack() as mounts:
        first = mounts.enter_context(mount())
        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        while len(objects()) < 10:
            time.sleep(0.02)
        first.unmount()
        time.sleep(0.5)
        underneath += path.iterdir()
        assert not mounted(path)
        before = len(objects())
        mounts.enter_context(mount())
        for worker in workers:
            worker.join()
        assert underneath == []
        assert before < len(faces)
        assert any("no bucket is mounted there" in problem for problem in problems)
        assert objects() == {face.key: face.payload for face in faces}


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "passwd_file and url must open bucket"),
        (errno.ENOSPC, "free space where s3fs puts its temporary files"),
        (errno.EIO, "Input/output error; see the log of s3fs$"),
    ],
)
def test_advice_fits_the_error(store, mount, monkeypatch, number, advice):
    def fail(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(mount_module, "write_file", fail)
    face = drawn_face(1)
    with mount(), pytest.raises(StoreError, match=advice):
        store.put(face.key, face.payload, face.sha256)


def test_s3fs_killed_leaves_a_stale_mount_and_an_error(store, mount, objects, path, monkeypatch):
    monkeypatch.setattr(probe, "FRESH_SECONDS", 0.1)
    first, second = drawn_face(1), drawn_face(2)
    with mount() as faces:
        store.put(first.key, first.payload, first.sha256)
        faces.process.send_signal(signal.SIGKILL)
        faces.process.wait()
        with pytest.raises(StoreError, match=f"mount {path}: .*not connected"):
            store.put(second.key, second.payload, second.sha256)
    assert list(path.iterdir()) == []
    with pytest.raises(StoreError):
        store.put(second.key, second.payload, second.sha256)
    with mount():
        time.sleep(probe.FRESH_SECONDS)
        assert store.put(second.key, second.payload, second.sha256).outcome == "created"
    assert objects() == {face.key: face.payload for face in (first, second)}


def test_a_mount_that_hangs_is_given_up_and_heals(settings, mount, monkeypatch):
    monkeypatch.setattr(probe, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(probe, "FRESH_SECONDS", 0.1)
    store, face = open_store(settings), drawn_face()
    with mount() as faces:
        store.check()
        time.sleep(0.2)
        faces.process.send_signal(signal.SIGSTOP)
        # On a busy machine its threads may answer once more before they stop.
        os.waitid(os.P_PID, faces.process.pid, os.WSTOPPED)
        try:
            began = time.monotonic()
            for attempt in (store.check, lambda: store.put(face.key, face.payload, face.sha256)):
                with pytest.raises(StoreError, match="does not answer within"):
                    attempt()
            assert time.monotonic() - began < 5
        finally:
            faces.process.send_signal(signal.SIGCONT)
        time.sleep(0.2)
        assert store.put(face.key, face.payload, face.sha256).outcome == "created"


@pytest.mark.parametrize("end", [signal.SIGCONT, signal.SIGKILL])
def test_a_worker_inside_a_frozen_mount_does_not_freeze_the_others(store, mount, monkeypatch, end):
    monkeypatch.setattr(probe, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(probe, "FRESH_SECONDS", 0.0)
    face, result = drawn_face(), []

    def work():
        try:
            result.append(store.put(face.key, face.payload, face.sha256).outcome)
        except StoreError as error:
            result.append(str(error))

    with mount() as faces:
        check = store._probe.check
        monkeypatch.setattr(store._probe, "check", lambda: faces.process.send_signal(signal.SIGSTOP))
        worker = threading.Thread(target=work)
        worker.start()
        worker.join(0.5)
        assert worker.is_alive()
        monkeypatch.setattr(store._probe, "check", check)
        with pytest.raises(StoreError, match="does not answer within"):
            store.check()
        faces.process.send_signal(end)
        worker.join(15)
        assert not worker.is_alive()
    assert result == ["created"] if end == signal.SIGCONT else "mount it again" in result[0] or "s3fs" in result[0]


def test_restarts_a_killed_probe(store, mount, monkeypatch):
    monkeypatch.setattr(probe, "FRESH_SECONDS", 0.1)
    with mount():
        store.check()
        store._probe._child.kill()
        store._probe._child.wait()
        time.sleep(probe.FRESH_SECONDS)
        store.check()


def test_another_bucket_mounted_there_is_noticed(settings, mount, s3):
    face, other = drawn_face(), settings.model_copy(update={"bucket": f"{settings.bucket}-other"})
    s3.create_bucket(Bucket=other.bucket)
    with mount(), pytest.raises(StoreError, match=f"is not in bucket {other.bucket}"):
        open_store(other).put(face.key, face.payload, face.sha256)


def test_reports_a_read_only_mount(store, mount, path):
    with mount():
        subprocess.run(["mount", "-o", "remount,ro,bind", path], check=True)
        with pytest.raises(StoreError, match="is read-only"):
            store.check()


def test_the_server_behind_goes_down_and_comes_back(tmp_path, path, made):
    """An error of s3fs does not show whether the object exists; the next put of the same key does."""
    ports, home, face = free_ports(10), tmp_path / "weed", drawn_face()
    home.mkdir()
    with ExitStack() as servers:
        server = servers.enter_context(seaweedfs(folder=home, ports=ports))
        settings = made.model_copy(
            update={"kind": "mount", "path": path, "endpoint": server.endpoint, "credentials_file": server.credentials}
        )
        ensure(settings, check=False)
        store = open_store(settings)
        with s3fs_mount(server, settings.bucket, path, log=tmp_path / "s3fs.log"):
            store.check()
            server.process.kill()
            servers.close()
            with pytest.raises(StoreError):
                store.put(face.key, face.payload, face.sha256)
            servers.enter_context(seaweedfs(folder=home, ports=ports))
            deadline = time.monotonic() + 90
            while True:
                try:
                    outcome = store.put(face.key, face.payload, face.sha256).outcome
                    break
                except StoreError:
                    assert time.monotonic() < deadline
                    time.sleep(0.5)
            assert outcome in {"created", "already", "repaired"}
