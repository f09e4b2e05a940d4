"""What was seen is committed, faces and visits of a frame together, however long the outbox has no room."""

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
from face_app.edge.commands.capture import Keeper
from face_app.edge.health.health import SourceWatchdog
from face_app.edge.outbox.export import export_visits
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.vision.best_shot import Candidate, Shot
from face_app.edge.vision.pipeline import PipelineResult
from face_app.edge.vision.quality import Quality
from services.detections import detection
from services.new_faces import new_face
from services.visits import visit

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
def pulse():
    return SourceWatchdog(10)


@pytest.fixture
def keeper(outbox, stop, pulse):
    def make(**camera):
        settings = EdgeSettings(edge="jetson", camera={"name": "door", **camera})
        return Keeper(settings, "yunet", outbox, stop, pulse)

    return make


@pytest.fixture
def full(outbox):
    """Faces that leave no room for a large one."""
    faces = []
    with suppress(OutboxUnavailableError):
        while True:
            faces += outbox.add([new_face(size=300)])
    return faces


def visits(outbox):
    return list(export_visits(outbox))


def test_a_face_is_committed_with_its_story(keeper, outbox):
    assert keeper().keep(PipelineResult((shot(5, "better"),), (visit(4),))) == 1
    topic, file = outbox.message(1)
    metadata = read_image(file, max_pixels=10**6).metadata
    assert topic == "face_app/jetson/door"
    assert (metadata.edge, metadata.camera, metadata.captured_at) == ("jetson", "door", NOW)
    assert (metadata.track, metadata.why, metadata.chosen_from) == (5, "better", 12)
    assert (metadata.frame_size, metadata.box, metadata.detector) == ((640, 480), (10, 20, 110, 140), "yunet")
    assert (metadata.score, metadata.shot_score) == (0.9123, 0.1235)
    assert metadata.shot_terms == {"sharp": 0.5, "light": 0.2469}
    assert len(metadata.landmarks) == 5
    assert visits(outbox) == [visit(4)]
    assert outbox.faces()[0].score == 0.1235


def test_where_nothing_was_seen_nothing_is_written(keeper, outbox, path):
    before = outbox._connection.total_changes
    assert keeper().keep(PipelineResult()) == 0
    assert outbox._connection.total_changes == before


def test_a_visit_without_a_shot_is_committed_alone(keeper, outbox):
    assert keeper().keep(PipelineResult(visits=(visit(1, shots=0),))) == 0
    assert visits(outbox) == [visit(1, shots=0)]
    assert outbox.tally().waiting == 0


def test_never_more_than_asked_for(keeper, outbox):
    one = keeper(stop_after=3)
    assert one.keep(PipelineResult((shot(1), shot(2)))) == 2
    assert not one.enough
    assert one.keep(PipelineResult((shot(3), shot(4)), (visit(1),))) == 1
    assert one.enough
    assert one.keep(PipelineResult((shot(5),), (visit(2),))) == 0
    assert outbox.tally().waiting == 3
    assert [each.track for each in visits(outbox)] == [1, 2]


def test_without_a_limit_it_is_never_enough(keeper):
    one = keeper()
    for track in range(3):
        one.keep(PipelineResult((shot(track),)))
    assert not one.enough


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_full_outbox_holds_them_and_they_are_committed_once(keeper, outbox, full, pulse, monkeypatch):
    monkeypatch.setattr("face_app.edge.commands.capture.pauses", lambda most: iter(lambda: 0.05, None))
    kept = []
    one = keeper()
    holding = threading.Thread(target=lambda: kept.append(one.keep(PipelineResult((shot(1), shot(2)), (visit(1),)))))
    holding.start()
    wait_until(lambda: "is full" in pulse.blocked)
    assert pulse.full
    time.sleep(0.2)
    assert (kept, outbox.tally().waiting, visits(outbox)) == ([], len(full), [])
    now = datetime.now(timezone.utc)
    outbox.settle([Receipt(face.id, face.sha256, face.key, now, "stored") for face in full])
    holding.join(20)
    assert kept == [2]
    assert pulse.blocked == ""
    assert outbox.tally().waiting == 2
    assert [each.track for each in visits(outbox)] == [1]
    numbers = [face.id.sequence for face in outbox.faces()]
    assert numbers == list(range(1, len(full) + 3)), "no number was spent in vain"


def test_the_end_of_the_program_ends_the_waiting(keeper, outbox, full, stop):
    stop.set()
    with pytest.raises(OutboxUnavailableError, match="is full"):
        keeper().keep(PipelineResult((shot(),), (visit(),)))
    assert outbox.tally().waiting == len(full)
    assert visits(outbox) == []
