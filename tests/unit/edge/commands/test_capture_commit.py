"""Checks that the faces and visits of a frame are committed together, also after a full outbox."""

import threading
import time
from contextlib import suppress
from datetime import datetime, timezone

import numpy as np
import pytest

from face_app.common.errors import OutboxUnavailableError
from face_app.common.metadata import read_image
from face_app.common.settings import EdgeSettings, OutboxFile
from face_app.common.wire import Receipt
from face_app.edge.commands.capture import FaceCommitter
from face_app.edge.health.health import SourceWatchdog
from face_app.edge.outbox.export import export_visits
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.vision.best_shot import Candidate, Shot
from face_app.edge.vision.pipeline import PipelineResult
from face_app.edge.vision.quality import Quality
from support.detections import detection
from support.new_faces import new_face
from support.visits import visit

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
NOISE = np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8)


def shot(track=1, why="first"):
    quality = Quality(0.123456, {"sharp": 0.5, "light": 0.246912})
    candidate = Candidate(NOISE, detection(10, 20, 100, 0.91234, height=120), quality, 7, (640, 480), NOW, 1.0)
    return Shot(candidate, track, why, 12, 3, 9)


@pytest.fixture
def outbox(path):
    with Outbox(OutboxFile(path=path, max_bytes=1_000_000)) as opened:
        yield opened


@pytest.fixture
def stop():
    return threading.Event()


@pytest.fixture
def watchdog():
    return SourceWatchdog(10)


@pytest.fixture
def committer(outbox, stop, watchdog):
    def make(**camera):
        settings = EdgeSettings(edge="jetson", camera={"name": "door", **camera})
        return FaceCommitter(settings, "yunet", outbox, stop, watchdog)

    return make


@pytest.fixture
def full(outbox):
    """Fill the outbox until it accepts no large face."""
    faces = []
    with suppress(OutboxUnavailableError):
        while True:
            faces += outbox.append([new_face(size=300)])
    return faces


def visits(outbox):
    return list(export_visits(outbox))


def test_commits_a_face_with_its_metadata(committer, outbox):
    assert committer().commit(PipelineResult((shot(5, "better"),), (visit(4),))) == 1
    topic, file = outbox.payloads([1])[1]
    metadata = read_image(file, max_pixels=10**6).metadata
    assert topic == "face_app/jetson/door"
    assert (metadata.edge, metadata.camera, metadata.captured_at) == ("jetson", "door", NOW)
    assert (metadata.track, metadata.why, metadata.chosen_from) == (5, "better", 12)
    assert (metadata.frame_size, metadata.box, metadata.detector) == ((640, 480), (10, 20, 110, 140), "yunet")
    assert (metadata.score, metadata.shot_score) == (0.9123, 0.1235)
    assert metadata.shot_terms == {"sharp": 0.5, "light": 0.2469}
    assert len(metadata.landmarks) == 5
    assert visits(outbox) == [visit(4)]
    assert outbox.run_faces()[0].score == 0.1235


def test_a_visit_has_one_id_in_a_run_and_another_in_the_next(committer, outbox, path):
    committer().commit(PipelineResult((shot(5), shot(5, "better"), shot(6))))
    with Outbox(OutboxFile(path=path)) as again:
        settings = EdgeSettings(edge="jetson", camera={"name": "door"})
        FaceCommitter(settings, "yunet", again, threading.Event(), SourceWatchdog(10)).commit(
            PipelineResult((shot(5),))
        )
    found = [read_image(outbox.payloads([row])[row][1], max_pixels=10**6).metadata.visit for row in (1, 2, 3, 4)]
    assert found[0] == found[1]
    assert len(set(found)) == 3
    assert found[0] == f"{outbox.run}-5"
    assert found[0].startswith(outbox.id)


def test_an_empty_result_writes_nothing(committer, outbox, path):
    before = outbox._connection.total_changes
    assert committer().commit(PipelineResult()) == 0
    assert outbox._connection.total_changes == before


def test_a_visit_without_a_shot_is_committed_alone(committer, outbox):
    assert committer().commit(PipelineResult(visits=(visit(1, shots=0),))) == 0
    assert visits(outbox) == [visit(1, shots=0)]
    assert outbox.run_counts().waiting == 0


def test_commits_no_more_than_stop_after(committer, outbox):
    one = committer(stop_after=3)
    assert one.commit(PipelineResult((shot(1), shot(2)))) == 2
    assert not one.limit_reached
    assert one.commit(PipelineResult((shot(3), shot(4)), (visit(1),))) == 1
    assert one.limit_reached
    assert one.commit(PipelineResult((shot(5),), (visit(2),))) == 0
    assert outbox.run_counts().waiting == 3
    assert [each.track for each in visits(outbox)] == [1, 2]


def test_without_stop_after_there_is_no_limit(committer):
    one = committer()
    for track in range(3):
        one.commit(PipelineResult((shot(track),)))
    assert not one.limit_reached


def wait_until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_full_outbox_delays_the_commit_and_duplicates_nothing(committer, outbox, full, watchdog, monkeypatch):
    monkeypatch.setattr("face_app.edge.commands.commit.pauses", lambda most: iter(lambda: 0.05, None))
    committed = []
    one = committer()
    waiting_thread = threading.Thread(
        target=lambda: committed.append(one.commit(PipelineResult((shot(1), shot(2)), (visit(1),))))
    )
    waiting_thread.start()
    wait_until(lambda: watchdog.outbox_full)
    assert "is full" in watchdog.block_reason
    time.sleep(0.2)
    assert (committed, outbox.run_counts().waiting, visits(outbox)) == ([], len(full), [])
    now = datetime.now(timezone.utc)
    outbox.apply_receipts([Receipt(face.id, face.sha256, face.key, now, "stored") for face in full])
    waiting_thread.join(20)
    assert committed == [2]
    assert watchdog.block_reason == ""
    assert outbox.run_counts().waiting == 2
    assert [each.track for each in visits(outbox)] == [1]
    numbers = [face.id.sequence for face in outbox.run_faces()]
    assert numbers == list(range(1, len(full) + 3)), "a failed attempt uses no number"


def test_a_stop_ends_the_wait_for_a_full_outbox(committer, outbox, full, stop):
    stop.set()
    with pytest.raises(OutboxUnavailableError, match="is full"):
        committer().commit(PipelineResult((shot(),), (visit(),)))
    assert outbox.run_counts().waiting == len(full)
    assert visits(outbox) == []
