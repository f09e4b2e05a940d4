"""Shots are attributed to persons."""

from pathlib import Path

import pytest

from bench.eyes.truth import Clip, ignored_stretches
from bench.eyes.visits import Shot, Visits, count

LEFT, RIGHT, EMPTY = (0, 0, 30, 30), (100, 0, 130, 30), (200, 0, 230, 30)


@pytest.fixture
def clip():
    """Anna is seen on the left, then on the right; Bert, small, on the left once she has gone."""
    boxes = {10: {"anna": LEFT}, 13: {"anna": RIGHT}, 14: {"bert": (0, 0, 15, 15), "anna": RIGHT}}
    return Clip("clip", Path("clip.mp4"), boxes, frozenset({"anna"}), (range(50, 60),))


def shot(frame, box):
    return Shot(Path("shot.jpg"), frame, box, 1000)


@pytest.mark.parametrize(
    ("frame", "box", "who"),
    [
        (10, LEFT, "anna"),
        (12, LEFT, None),  # frame 13 is nearer than 10, and there she is on the right
        (11, LEFT, "anna"),
        (8, LEFT, "anna"),
        (7, LEFT, None),
        (15, (0, 0, 16, 16), "bert"),
        (14, EMPTY, None),
    ],
)
def test_the_nearest_frame_that_shows_a_person_decides(clip, frame, box, who):
    assert clip.person_at(frame, box) == who


def test_counts_shots_by_person(clip):
    shots = [shot(10, LEFT), shot(13, RIGHT), shot(14, (0, 0, 15, 15)), shot(14, EMPTY), shot(55, EMPTY)]
    visits = count(clip, shots)
    assert (visits.present, visits.caught, visits.present_small, visits.caught_small) == (1, 1, 2, 2)
    assert (visits.shots, visits.right, visits.wrong, visits.size) == (5, 3, 1, 5000)
    assert visits.shots_per_person == 1.5


def test_visits_of_several_clips_add_up(clip):
    one = count(clip, [shot(10, LEFT)])
    other = count(clip, [shot(14, EMPTY)])
    assert one + other == Visits(2, 1, 4, 1, shots=2, right=1, wrong=1, size=2000)


def test_stretches_to_ignore_are_read_from_a_note_with_their_slack():
    note = "brief profile faces at frames ~683-688, 1346-1350: treat as ignore"
    assert ignored_stretches(note) == (range(681, 691), range(1344, 1353))
    assert ignored_stretches("composite of GIFs, CC-BY-4.0, frames 12-30") == ()
