"""Shots are attributed to persons."""

from pathlib import Path

import pytest

from bench.eyes.truth import EVERYWHERE, Clip, ignored_stretches
from bench.eyes.visits import Played, Shot, Visit, Visits, count

LEFT, RIGHT, EMPTY = (0, 0, 30, 30), (100, 0, 130, 30), (200, 0, 230, 30)


@pytest.fixture
def clip():
    """Anna is seen on the left, then on the right; Bert, small, on the left once she has gone."""
    boxes = {10: {"anna": LEFT}, 13: {"anna": RIGHT}, 14: {"bert": (0, 0, 15, 15), "anna": RIGHT}}
    return Clip("clip", Path("clip.mp4"), boxes, frozenset({"anna"}), {55: [EVERYWHERE], 56: [LEFT]})


def shot(frame, box, track=1):
    return Shot(Path("shot.jpg"), frame, box, 1000, track=track)


def played(*shots, visits=()):
    return Played(list(shots), list(visits), 100, 1.0)


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
    shots = [shot(10, LEFT), shot(13, RIGHT, 2), shot(14, (0, 0, 15, 15), 3), shot(14, EMPTY, 4), shot(55, EMPTY, 4)]
    visits = count(clip, played(*shots))
    assert (visits.present, visits.caught, visits.present_small, visits.caught_small) == (1, 1, 2, 2)
    assert (visits.shots, visits.right, visits.duplicates, visits.wrong, visits.size) == (5, 3, 1, 1, 5000)
    assert visits.shots_per_person == 1.5


def test_ignores_a_shot_in_a_rectangle_alone(clip):
    assert count(clip, played(shot(56, LEFT), shot(56, RIGHT))).wrong == 1


def test_counts_false_silent_and_refused_visits(clip):
    visits = [
        Visit("", [(10, LEFT), (10, EMPTY)], 1),
        Visit("no face", [(10, EMPTY)], 0),
        Visit("", [], 0),
        Visit("", [(55, EMPTY)], 1),
    ]
    result = count(clip, played(visits=visits))
    assert (result.believed, result.false, result.silent, result.refused) == (4, 1, 1, {"no face": 1})
    assert result.believed_per_person == 2


def test_visits_of_several_clips_add_up(clip):
    one = count(clip, played(shot(10, LEFT)))
    other = count(clip, played(shot(14, EMPTY)))
    assert one + other == Visits(2, 1, 4, 1, shots=2, right=1, wrong=1, size=2000)


def test_labels_change_with_the_pictures(clip):
    changed = clip.changed(Path("other.mp4"), [9, 10, 12, 14, 56], lambda number, box: (number, *box[1:]))
    assert changed.boxes == {1: {"anna": (1, 0, 30, 30)}, 3: {"bert": (3, 0, 15, 15), "anna": (3, 0, 130, 30)}}
    assert changed.ignored[4] == [(4, 0, 30, 30)]


def test_stretches_to_ignore_are_read_from_a_note_with_their_slack():
    note = "brief profile faces at frames ~683-688, 1346-1350: treat as ignore"
    assert ignored_stretches(note) == (range(681, 691), range(1344, 1353))
    assert ignored_stretches("composite of GIFs, CC-BY-4.0, frames 12-30") == ()
