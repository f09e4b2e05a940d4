"""An edge whose whole disk goes back in time cannot hide it: the cloud has seen its numbers."""

import os
import shutil
import sys
import time
from contextlib import contextmanager

import pytest

from face_app.cloud.bucket.mark_object import load_marks
from face_app.common.health_server import Health
from face_app.common.ledger_file import write_ledger
from face_app.edge.health.status_publisher import publish_status
from face_app.edge.outbox.export import export_ledger
from face_app.edge.outbox.outbox import Outbox
from support.chain import EDGE
from support.new_faces import new_face
from support.processes import process


@pytest.fixture
def subscriber(brokers, tmp_path):
    """The program with the role's broker and access list; its store is a folder."""
    cloud = brokers["cloud"]
    (tmp_path / "store").mkdir()
    (tmp_path / "cloud.toml").write_text(
        f'[store]\nkind = "directory"\npath = "{tmp_path}/store"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {cloud.port}\nca_file = "{cloud.folder}/ca.crt"\n'
        f'cert_file = "{cloud.folder}/subscriber-1.crt"\nkey_file = "{cloud.folder}/subscriber-1.key"\n'
    )
    command = [sys.executable, "-m", "face_app", "subscribe", "--config", tmp_path / "cloud.toml"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with process(command, tmp_path / "subscribe.log", env=environment) as running:
        yield running


@contextmanager
def edge(settings):
    """The outbox of a running edge that publishes its status."""
    with (
        Outbox(settings.outbox) as outbox,
        publish_status(settings, outbox, lambda: Health(True, True, "", frozenset(), {})),
    ):
        yield outbox


@pytest.fixture
def audit(settings, prestarted, tmp_path):
    def run():
        with (
            Outbox(settings.outbox) as outbox,
            export_ledger(outbox, EDGE) as ledger,
            (tmp_path / "ledger").open("wb") as file,
        ):
            write_ledger(ledger, file)
        arguments = ("--config", tmp_path / "cloud.toml", "--ledger", tmp_path / "ledger")
        return prestarted.run("audit", *arguments, environment=os.environ)

    return run


def wait_for_mark(store, outbox, last, seconds=120):
    """Wait until the mark has this number."""
    key = f"marks/{EDGE}/{outbox}/subscriber-1.json"
    deadline = time.monotonic() + seconds
    while True:
        marks = load_marks((store / key).read_bytes(), key) if (store / key).exists() else []
        if max((mark.last for mark in marks), default=0) >= last:
            return
        assert time.monotonic() < deadline, marks
        time.sleep(0.1)


def test_the_audit_names_the_numbers_that_a_restored_disk_gave_twice(subscriber, settings, audit, tmp_path):
    disk, copy = settings.outbox.path.parent, tmp_path / "copy"
    with edge(settings) as outbox:
        for _ in range(5):
            outbox.append([new_face()])
    shutil.copytree(disk, copy)
    with edge(settings) as outbox:
        for _ in range(5):
            outbox.append([new_face()])
        wait_for_mark(tmp_path / "store", outbox.id, 10)
    honest = audit()
    assert (honest.returncode, honest.stderr) == (0, b""), "each of the ten faces waits"

    shutil.rmtree(disk)
    shutil.copytree(copy, disk)
    restored = audit()
    assert restored.returncode == 10
    assert b"6-10: given after the ledger was written" in restored.stdout
    with edge(settings) as outbox:
        for _ in range(7):
            outbox.append([new_face()])
        wait_for_mark(tmp_path / "store", outbox.id, 12)
    again = audit()
    assert again.returncode == 9
    assert f"given twice ({EDGE}, outbox {outbox.id}), by number:\n  6-10\n".encode() in again.stdout
    assert subscriber.poll() is None
