"""A face keeps its track while it can be the same face, and nobody else gets it."""

import numpy as np
import pytest

from face_app.common import settings
from face_app.edge.vision.tracker import LOST_AFTER, SURE_AFTER, Tracker
from services.detections import detection as face

STEP = 0.125
SURE, DOUBTFUL = 0.9, 0.6


@pytest.fixture
def tracker():
    return Tracker(settings.Detector().score)


def follow(tracker, looks, begin=0.0, step=STEP):
    """The track numbers of each look."""
    return [
        [each.track for each in tracker.update(detections, begin + number * step)[0]]
        for number, detections in enumerate(looks)
    ]


def ends(tracker):
    return [(end.track, end.believed) for end in tracker.close()]


def test_a_face_that_stays_is_one_track(tracker):
    assert follow(tracker, [[face(100 + number)] for number in range(40)]) == [[1]] * 40
    assert ends(tracker) == [(1, True)]


def test_two_faces_are_two_tracks_whatever_their_order(tracker):
    follow(tracker, [[face(100), face(300)], [face(305), face(102)]])
    first, other = tracker.update([face(308), face(104)], 2 * STEP)[0]
    assert {first.track: first.detection.box[0], other.track: other.detection.box[0]} == {1: 104, 2: 308}


def test_the_more_alike_wins(tracker):
    follow(tracker, [[face(100)]])
    sightings, _ = tracker.update([face(115), face(101)], STEP)
    assert {each.detection.box[0]: each.track for each in sightings} == {101: 1, 115: 2}


def test_a_face_elsewhere_is_another_track(tracker):
    assert follow(tracker, [[face(100)], [face(300)]]) == [[1], [2]]


def test_a_face_of_another_size_is_another_track(tracker):
    assert follow(tracker, [[face(100, width=30)], [face(100, width=200)]]) == [[1], [2]]


def test_a_doubtful_detection_never_begins_a_track(tracker):
    assert follow(tracker, [[face(100, score=DOUBTFUL)]] * 10) == [[]] * 10
    assert ends(tracker) == []


def test_a_doubtful_detection_continues_one(tracker):
    looks = [[face(100)]] + [[face(100, score=DOUBTFUL)]] * 40 + [[face(100)]]
    assert follow(tracker, looks) == [[1]] * 42


def test_a_sure_detection_has_the_first_word(tracker):
    follow(tracker, [[face(100)]])
    sightings, _ = tracker.update([face(100, score=DOUBTFUL), face(112)], STEP)
    assert [(each.track, each.detection.box[0]) for each in sightings] == [(1, 112)]


def test_an_occlusion_is_bridged(tracker):
    hidden = round(LOST_AFTER / STEP) - 1
    assert follow(tracker, [[face(100)]] * 5 + [[]] * hidden + [[face(104)]])[-1] == [1]


def test_one_that_is_unseen_for_longer_is_over_and_its_number_is_not_given_again(tracker):
    follow(tracker, [[face(100)]] * 5)
    _, over = tracker.update([], 4 * STEP + LOST_AFTER)
    assert over == []
    tracker.update([], 4 * STEP + LOST_AFTER)
    sightings, over = tracker.update([face(100)], 4 * STEP + LOST_AFTER + STEP)
    assert [(end.track, end.believed) for end in over] == [(1, True)]
    assert [each.track for each in sightings] == [2]


def test_the_speed_of_a_face_is_known(tracker):
    """Its last steps are so long that without the speed it would be another face."""
    looks = [[face(100 + 15 * number**1.8)] for number in range(15)]
    assert follow(Tracker(settings.Detector().score), looks[-2:]) == [[1], [2]]
    assert follow(tracker, looks) == [[1]] * 15


def test_a_face_comes_out_of_an_occlusion_where_its_speed_has_brought_it(tracker):
    follow(tracker, [[face(100 + 20 * number)] for number in range(10)])
    sightings, _ = tracker.update([face(280), face(100 + 20 * 17)], 17 * STEP)
    assert {each.detection.box[0]: each.track for each in sightings} == {440: 1, 280: 2}


def test_faces_that_pass_each_other_keep_their_tracks(tracker):
    looks = [[face(100 + 12 * number, 100), face(460 - 12 * number, 130)] for number in range(30)]
    follow(tracker, looks[:-1])
    sightings, _ = tracker.update(looks[-1], 29 * STEP)
    assert {each.track: each.detection.box[0] for each in sightings} == {1: 448, 2: 112}


def test_somebody_who_sits_still_while_nothing_is_looked_at_stays_the_same(tracker):
    follow(tracker, [[face(100)]] * 5)
    at = 5 * STEP
    for _ in range(3):
        for _ in range(25):  # the gate is shut for five seconds
            tracker.idle(at)
            at += 0.2
        sightings, over = tracker.update([face(101)], at)
        assert (over, [each.track for each in sightings]) == ([], [1])
        at += 0.2


def test_one_who_left_while_nothing_was_looked_at_is_over_after_the_usual_time(tracker):
    follow(tracker, [[face(100)]] * 5)
    for number in range(25):
        tracker.idle(5 * STEP + number * 0.2)
    looks = [tracker.update([], 6 + number * STEP)[1] for number in range(round(LOST_AFTER / STEP) + 3)]
    assert [end.track for over in looks for end in over] == [1]
    assert looks[0] == []


def test_a_camera_that_was_away_ends_all_tracks(tracker):
    follow(tracker, [[face(100)]] * 5)
    sightings, over = tracker.update([face(100)], 100.0)
    assert [end.track for end in over] == [1]
    assert [each.track for each in sightings] == [2]


def test_the_only_look_at_a_picture_is_believed(tracker):
    """A folder of pictures: the tracks are closed before the next one comes."""
    sightings, _ = tracker.update([face(100), face(300)], 0)
    assert not any(each.believed for each in sightings), "not before it is known that there is only one look"
    assert ends(tracker) == [(1, True), (2, True)]


def test_one_look_before_the_camera_is_away_is_nobody(tracker):
    tracker.update([face(100)], 0)
    _, over = tracker.update([], 60)
    assert [(end.track, end.believed) for end in over] == [(1, False)]


@pytest.mark.parametrize("widths", [1.1, 2.2])
def test_one_who_walks_past_is_one_track_from_the_first_step(tracker, widths):
    """At 1.4 m/s a face comes 1.1 of its widths further in an eighth of a second, 2.2 in a quarter."""
    assert follow(tracker, [[face(100 + 50 * widths * number)] for number in range(10)]) == [[1]] * 10


def test_a_pixel_of_trembling_in_no_time_is_no_speed(tracker):
    at, tracks = 0.0, set()
    for number in range(60):
        at += 0.005 if number % 2 else 0.12
        tracks |= {each.track for each in tracker.update([face(100 + number % 2)], at)[0]}
    assert tracks == {1}


def test_a_camera_of_one_frame_in_two_seconds_sees_the_same_person(tracker):
    assert follow(tracker, [[face(100)]] * 10, step=2.0)[1:] == [[2]] * 9


@pytest.mark.parametrize("hits", range(1, SURE_AFTER))
def test_one_who_ran_through_the_last_frames_is_believed(tracker, hits):
    follow(tracker, [[]] * 20 + [[face(100)]] * hits)
    assert ends(tracker) == [(1, True)]


@pytest.mark.parametrize(
    ("looks", "believed"),
    [([[face(100)]], False), ([[face(100)], [face(100)]], True), ([[face(100)], [], [face(100)]], False)],
    ids=["a flash", "two looks, both", "two looks of three"],
)
def test_what_was_seen_in_few_looks_is_believed_if_it_was_in_all_of_them(tracker, looks, believed):
    follow(tracker, [[]] * 5 + looks)
    over = [end for number in range(20) for end in tracker.update([], (8 + number) * STEP)[1]]
    assert [(end.track, end.believed) for end in over] == [(1, believed)]


def test_it_is_believed_from_the_look_that_makes_it_sure(tracker):
    told = [tracker.update([face(100)], number * STEP)[0][0].believed for number in range(SURE_AFTER + 2)]
    assert told == [False] * (SURE_AFTER - 1) + [True] * 3


def test_missing_tells_whether_a_face_that_was_there_is_not_seen(tracker):
    assert not tracker.missing
    follow(tracker, [[face(100)]])
    assert not tracker.missing
    tracker.update([], STEP)
    assert tracker.missing
    tracker.update([face(100)], 2 * STEP)
    assert not tracker.missing


def test_faces_without_landmarks_are_followed_by_their_boxes(tracker):
    looks = [[face(100 + 4 * number), face(300 - 4 * number)] for number in range(10)]
    bare = [[type(each)(each.box, (), 1.0) for each in look] for look in looks]
    assert follow(tracker, bare) == [[1, 2]] * 10


def test_two_hundred_faces_are_two_hundred_tracks(tracker):
    chance = np.random.default_rng(5)
    places = [(60 * (number % 20), 80 * (number // 20)) for number in range(200)]
    for look in range(6):
        shuffled = chance.permutation(200)
        shaken = [face(*(np.array(places[place]) + chance.uniform(-3, 3, 2)), width=40) for place in shuffled]
        sightings, over = tracker.update(shaken, look * STEP)
        assert over == []
        numbers = {int(place): each.track for each in sightings for place in [shuffled[shaken.index(each.detection)]]}
        if look == 0:
            first = numbers
        assert numbers == first
    assert sorted(first.values()) == list(range(1, 201))


def test_a_look_at_the_same_moment_again(tracker):
    """Two frames of a camera whose clock gives out."""
    for _ in range(3):
        sightings, over = tracker.update([face(100)], 1.0)
    assert ([each.track for each in sightings], over) == ([1], [])


def test_boxes_without_any_size(tracker):
    looks = [[face(0, 0, 0, height=0)], [face(0, 0, 0, height=0), face(100, 100, 0, height=50)]]
    assert len(follow(tracker, looks)[1]) == 2
