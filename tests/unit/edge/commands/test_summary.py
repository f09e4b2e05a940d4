"""Checks the summary of a run."""

from dataclasses import dataclass

import pytest

from face_app.common.wire import FaceId
from face_app.edge.commands.summary import Latency, summarise
from face_app.edge.outbox.records import Face


@dataclass
class CommittedFaces:
    faces: list

    def run_faces(self):
        return self.faces


def face(sequence, state, milliseconds=None):
    updated_at = None if milliseconds is None else 1000 + milliseconds / 1000
    return Face(FaceId("0badcafe", sequence), f"key-{sequence}", "0" * 64, 0.9, 1000.0, state, "", updated_at)


def test_counts_states_and_lists_only_stored_faces():
    summary = summarise(
        CommittedFaces([face(1, "stored", 10), face(2, "waiting"), face(3, "refused")]), frames=7, seconds=1.5
    )
    assert (summary.frames, summary.captured, summary.stored, summary.waiting, summary.refused) == (7, 3, 1, 1, 1)
    assert [each.key for each in summary.faces] == ["key-1"]
    assert summary.faces[0].id == "0badcafe" + "0" * 23 + "1"


@pytest.mark.parametrize(
    ("count", "latency"),
    [(0, Latency(None, None)), (1, Latency(1, 1)), (100, Latency(50, 99)), (200, Latency(100, 198))],
)
def test_latencies_are_nearest_rank_percentiles(count, latency):
    faces = [face(number, "stored", number) for number in range(count, 0, -1)]
    assert summarise(CommittedFaces(faces), frames=0, seconds=0).latency_ms == latency
