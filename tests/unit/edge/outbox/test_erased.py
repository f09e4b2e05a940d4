"""An erased face leaves no byte in any file of the outbox, however the program ends."""

import os
import signal
import sqlite3
import sys
from contextlib import closing
from datetime import datetime, timezone

import pytest

from face_app.common.settings import OutboxFile
from face_app.common.wire import FaceId, Receipt
from face_app.edge.outbox import upkeep
from face_app.edge.outbox.export import export_ledger
from face_app.edge.outbox.outbox import Outbox
from support.new_faces import new_face
from support.noise import noisy_new_face, traces
from support.processes import process
from support.waiting import until

ERASING = """
import sys
from datetime import datetime, timezone
from face_app.edge.outbox.outbox import Outbox
from face_app.common.settings import OutboxFile
from face_app.common.wire import Receipt
from support.noise import noisy_new_face
outbox = Outbox(OutboxFile(path=sys.argv[1]))
faces = outbox.append([noisy_new_face(n) for n in range(4)])
for face in faces:
    print(face.key, outbox.payloads([face.id.sequence])[face.id.sequence][1].hex(), flush=True)
now = datetime.now(timezone.utc)
outbox.apply_receipts([Receipt(face.id, face.sha256, face.key, now, sys.argv[2]) for face in faces[:3]])
print("done", flush=True)
import time; time.sleep(600)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path):
    with Outbox(OutboxFile(path=path)) as outbox:
        yield outbox


def receipt(face, result="erased"):
    return Receipt(face.id, face.sha256, face.key, datetime.now(timezone.utc), result)


def left(path, image):
    return traces(image, path.parent.iterdir())


def test_an_erased_receipt_leaves_no_byte_in_file_and_log(outbox, path):
    faces = outbox.append([noisy_new_face(n) for n in range(3)])
    images = [outbox.payloads([row])[row][1] for row in outbox.oldest_pending(3)]
    assert all(left(path, pixels) for pixels in images)
    applied = outbox.apply_receipts([receipt(faces[0]), receipt(faces[2])])
    assert [row for row, _ in applied] == [1, 3]
    outbox.maintain()
    assert [bool(left(path, pixels)) for pixels in images] == [False, True, False]
    counts = outbox.run_counts()
    assert (counts.waiting, counts.erased, counts.stored) == (1, 2, 0)
    assert outbox.apply_receipts([receipt(faces[0])]) == []
    with export_ledger(outbox, "jetson") as ledger:
        assert [entry.state for entry in ledger.entries] == ["erased", "waiting", "erased"]


def test_a_stored_face_leaves_no_byte_after_a_while(outbox, path, monkeypatch):
    monkeypatch.setattr(upkeep, "SCRUB_SECONDS", 0.0)
    (face,) = outbox.append([noisy_new_face(1)])
    pixels = outbox.payloads([1])[1][1]
    outbox.maintain()
    outbox.apply_receipts([receipt(face, "stored")])
    outbox.maintain()
    assert left(path, pixels) == []


@pytest.mark.parametrize("before", ["waiting", "refused", "stored"])
def test_every_state_but_erased_becomes_erased(outbox, before):
    (face,) = outbox.append([new_face()])
    if before != "waiting":
        outbox.apply_receipts([receipt(face, before)])
    assert len(outbox.apply_receipts([receipt(face)])) == 1
    (found,) = outbox.run_faces()
    assert (found.state, found.reason) == ("erased", "")
    # A subscriber that did not know the tombstone yet: the eraser deletes that object.
    assert outbox.apply_receipts([receipt(face, "stored")]) == []


@pytest.mark.parametrize("changes", [{"sha256": "0" * 64}, {"id": None}, {"id": FaceId("0badcafe", 1)}])
def test_a_receipt_for_another_face_erases_nothing(outbox, changes):
    (face,) = outbox.append([new_face()])
    values = {"id": face.id, "sha256": face.sha256, "key": face.key, "at": datetime.now(timezone.utc)}
    assert outbox.apply_receipts([Receipt(**{**values, **changes}, result="erased")]) == []
    assert outbox.run_counts().waiting == 1


def test_a_reader_delays_the_removal_and_does_not_prevent_it(outbox, path):
    (face,) = outbox.append([noisy_new_face(1)])
    pixels = outbox.payloads([1])[1][1]
    outbox.maintain()
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM pixels").fetchall()
        outbox.apply_receipts([receipt(face)])
        outbox.maintain()
        assert left(path, pixels)
    outbox.maintain()
    assert left(path, pixels) == []


@pytest.mark.parametrize("result", ["erased", "stored"])
def test_the_next_run_removes_what_a_killed_one_left(path, tmp_path, result):
    output = tmp_path / "elsewhere"
    output.mkdir()
    log = output / "log"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with process([sys.executable, "-c", ERASING, path, result], log, env=environment) as erasing:
        until(lambda: "done" in log.read_text())
        erasing.send_signal(signal.SIGKILL)
        erasing.wait(60)
    images = [bytes.fromhex(line.split()[1]) for line in log.read_text().splitlines() if " " in line]
    with Outbox(OutboxFile(path=path)) as outbox:
        outbox.maintain()
        assert [bool(left(path, pixels)) for pixels in images] == [False, False, False, True]
        assert len(outbox.oldest_pending(9)) == 1
