"""A track follows one face, and no other face."""

import cv2
import numpy as np
import pytest

from face_app.edge.vision.appearance import describe
from face_app.edge.vision.face_mesh import MeshResult
from face_app.edge.vision.tracker import (
    DESCRIBED_DETECTIONS,
    DESCRIBED_SECONDS,
    MAX_CHECKS,
    MAX_LOST_SECONDS,
    MIN_HITS,
    REJOIN_SECONDS,
    UNCONFIRMED_SECONDS,
    Tracker,
)
from support.clips import draw_face
from support.detections import detection as face

STEP = 0.125
CONFIDENT, DOUBTFUL = 0.9, 0.6
ROOM = np.full((480, 640, 3), 120, np.uint8)
"""A picture without colours, in which no lost track is joined again."""
FLAT = describe(ROOM, (100, 100, 200, 200))


@pytest.fixture
def tracker():
    return Tracker()


def follow(tracker, frames, begin=0.0, step=STEP):
    """Return the track numbers of each frame."""
    return [
        [each.track for each in tracker.update(detections, begin + number * step, ROOM)[0]]
        for number, detections in enumerate(frames)
    ]


def finish(tracker):
    return [(end.track, end.confirmed) for end in tracker.finish()]


def test_a_face_that_stays_is_one_track(tracker):
    assert follow(tracker, [[face(100 + number)] for number in range(40)]) == [[1]] * 40
    assert finish(tracker) == [(1, True)]


def test_two_faces_are_two_tracks_in_any_order(tracker):
    follow(tracker, [[face(100), face(300)], [face(305), face(102)]])
    first, other = tracker.update([face(308), face(104)], 2 * STEP, ROOM)[0]
    assert {first.track: first.detection.box[0], other.track: other.detection.box[0]} == {1: 104, 2: 308}


def test_prefers_the_more_similar_detection(tracker):
    follow(tracker, [[face(100)]])
    faces, _ = tracker.update([face(115), face(101)], STEP, ROOM)
    assert {each.detection.box[0]: each.track for each in faces} == {101: 1, 115: 2}


def test_a_face_elsewhere_is_another_track(tracker):
    assert follow(tracker, [[face(100)], [face(300)]]) == [[1], [2]]


def test_a_face_of_another_size_is_another_track(tracker):
    assert follow(tracker, [[face(100, width=30)], [face(100, width=200)]]) == [[1], [2]]


def test_a_doubtful_detection_never_starts_a_track(tracker):
    assert follow(tracker, [[face(100, score=DOUBTFUL)]] * 10) == [[]] * 10
    assert finish(tracker) == []


def test_a_doubtful_detection_continues_a_track(tracker):
    frames = [[face(100)]] + [[face(100, score=DOUBTFUL)]] * 40 + [[face(100)]]
    assert follow(tracker, frames) == [[1]] * 42


def test_prefers_a_confident_detection(tracker):
    follow(tracker, [[face(100)]])
    faces, _ = tracker.update([face(100, score=DOUBTFUL), face(112)], STEP, ROOM)
    assert [(each.track, each.detection.box[0]) for each in faces] == [(1, 112)]


def test_bridges_an_occlusion(tracker):
    hidden = round(MAX_LOST_SECONDS / STEP) - 1
    assert follow(tracker, [[face(100)]] * 5 + [[]] * hidden + [[face(104)]])[-1] == [1]


def test_a_lost_track_ends_and_its_number_is_not_reused(tracker):
    follow(tracker, [[face(100)]] * 5)
    frames = range(5, 5 + round(REJOIN_SECONDS / STEP))
    ends = {number: tracker.update([], number * STEP, ROOM)[1] for number in frames}
    assert [number for number, ended in ends.items() if ended] == []
    faces, ended = tracker.update([face(100)], (frames[-1] + 1) * STEP, ROOM)
    assert [(end.track, end.confirmed) for end in ended] == [(1, True)]
    assert [each.track for each in faces] == [2]


def test_a_waiting_track_is_not_continued_by_position_alone(tracker):
    follow(tracker, [[face(100)]] * 5)
    frames = [[]] * round(MAX_LOST_SECONDS / STEP) + [[face(100)]]
    assert follow(tracker, frames, begin=5 * STEP)[-1] == [2]
    assert not tracker.has_lost, "a track that waits needs no detections"


def test_follows_a_face_that_accelerates(tracker):
    """Its last steps are so long that without the velocity it would be another track."""
    frames = [[face(100 + 15 * number**1.8)] for number in range(15)]
    assert follow(Tracker(), frames[-2:]) == [[1], [2]]
    assert follow(tracker, frames) == [[1]] * 15


def test_predicts_where_a_face_leaves_an_occlusion(tracker):
    follow(tracker, [[face(100 + 20 * number)] for number in range(10)])
    faces, _ = tracker.update([face(280), face(100 + 20 * 17)], 17 * STEP, ROOM)
    assert {each.detection.box[0]: each.track for each in faces} == {440: 1, 280: 2}


def test_faces_that_pass_each_other_keep_their_tracks(tracker):
    frames = [[face(100 + 12 * number, 100), face(460 - 12 * number, 130)] for number in range(30)]
    follow(tracker, frames[:-1])
    faces, _ = tracker.update(frames[-1], 29 * STEP, ROOM)
    assert {each.track: each.detection.box[0] for each in faces} == {1: 448, 2: 112}


def test_skipped_frames_do_not_end_a_track(tracker):
    follow(tracker, [[face(100)]] * 5)
    at = 5 * STEP
    for _ in range(3):
        for _ in range(25):  # five seconds without motion
            tracker.skip(at)
            at += 0.2
        faces, ended = tracker.update([face(101)], at, ROOM)
        assert (ended, [each.track for each in faces]) == ([], [1])
        at += 0.2


def test_a_face_that_left_in_skipped_frames_ends_after_the_usual_time(tracker):
    follow(tracker, [[face(100)]] * 5)
    for number in range(25):
        tracker.skip(5 * STEP + number * 0.2)
    frames = [tracker.update([], 6 + number * STEP, ROOM)[1] for number in range(round(REJOIN_SECONDS / STEP) + 3)]
    assert [end.track for ended in frames for end in ended] == [1]
    assert frames[0] == []


def test_an_absence_of_the_camera_ends_all_tracks(tracker):
    follow(tracker, [[face(100)]] * 5)
    faces, ended = tracker.update([face(100)], 100.0, ROOM)
    assert [end.track for end in ended] == [1]
    assert [each.track for each in faces] == [2]


def test_finish_confirms_the_faces_of_a_single_frame(tracker):
    """In a folder of pictures, the tracks end before the next picture."""
    faces, _ = tracker.update([face(100), face(300)], 0, ROOM)
    assert not any(each.confirmed for each in faces), "not before the only frame has ended"
    assert finish(tracker) == [(1, True), (2, True)]


def test_one_detection_before_an_absence_of_the_camera_is_not_confirmed(tracker):
    tracker.update([face(100)], 0, ROOM)
    _, ended = tracker.update([], 60, ROOM)
    assert [(end.track, end.confirmed) for end in ended] == [(1, False)]


@pytest.mark.parametrize("widths", [1.1, 2.2])
def test_a_person_who_walks_past_is_one_track_from_the_first_step(tracker, widths):
    """At 1.4 m/s a face comes 1.1 of its widths further in an eighth of a second, 2.2 in a quarter."""
    assert follow(tracker, [[face(100 + 50 * widths * number)] for number in range(10)]) == [[1]] * 10


def test_jitter_of_a_pixel_is_no_velocity(tracker):
    at, tracks = 0.0, set()
    for number in range(60):
        at += 0.005 if number % 2 else 0.12
        tracks |= {each.track for each in tracker.update([face(100 + number % 2)], at, ROOM)[0]}
    assert tracks == {1}


def test_follows_a_face_at_one_frame_in_two_seconds(tracker):
    assert follow(tracker, [[face(100)]] * 10, step=2.0)[1:] == [[2]] * 9


@pytest.mark.parametrize("hits", range(1, MIN_HITS))
def test_finish_confirms_a_face_of_the_last_frames(tracker, hits):
    follow(tracker, [[]] * 20 + [[face(100)]] * hits)
    assert finish(tracker) == [(1, True)]


@pytest.mark.parametrize(
    ("frames", "confirmed"),
    [([[face(100)]], False), ([[face(100)], [face(100)]], True), ([[face(100)], [], [face(100)]], False)],
    ids=["one frame", "two frames in a row", "two frames of three"],
)
def test_a_short_track_is_confirmed_if_it_has_no_gap(tracker, frames, confirmed):
    follow(tracker, [[]] * 5 + frames)
    ended = [end for number in range(50) for end in tracker.update([], (8 + number) * STEP, ROOM)[1]]
    assert [(end.track, end.confirmed) for end in ended] == [(1, confirmed)]


def test_confirms_a_track_at_the_least_number_of_detections(tracker):
    confirmed = [tracker.update([face(100)], number * STEP, ROOM)[0][0].confirmed for number in range(MIN_HITS + 2)]
    assert confirmed == [False] * (MIN_HITS - 1) + [True] * 3


def test_has_lost_is_true_while_a_track_has_no_match(tracker):
    assert not tracker.has_lost
    follow(tracker, [[face(100)]])
    assert not tracker.has_lost
    tracker.update([], STEP, ROOM)
    assert tracker.has_lost
    tracker.update([face(100)], 2 * STEP, ROOM)
    assert not tracker.has_lost


def test_follows_faces_without_landmarks_by_their_boxes(tracker):
    frames = [[face(100 + 4 * number), face(300 - 4 * number)] for number in range(10)]
    bare = [[type(each)(each.box, (), 1.0, sure=True) for each in frame] for frame in frames]
    assert follow(tracker, bare) == [[1, 2]] * 10


class Mesh:
    """Answers each check with one presence."""

    def __init__(self, presence):
        self.presence = presence
        self.checks = 0

    def check(self, image, detection):
        self.checks += 1
        return MeshResult(self.presence, 0.3)


@pytest.mark.parametrize(("score", "presence", "tracks"), [(0.7, 0.9, [1]), (0.7, 0.1, []), (0.6, 0.9, [])])
def test_the_mesh_confirms_a_new_face_that_is_not_sure(score, presence, tracks):
    tracker = Tracker(Mesh(presence))
    assert follow(tracker, [[face(100, score=score)]] * 4) == [tracks] * 4


def test_without_the_mesh_an_unsure_face_starts_no_track():
    assert follow(Tracker(), [[face(100, score=0.75)]] * 4) == [[]] * 4


def test_limits_the_checks_of_an_update():
    mesh = Mesh(0.0)
    follow(Tracker(mesh), [[face(60 * number, score=0.7) for number in range(9)]])
    assert mesh.checks == MAX_CHECKS


def test_a_part_of_a_known_face_is_not_checked():
    mesh = Mesh(0.9)
    forehead = face(110, score=0.7, width=20)
    assert follow(Tracker(mesh), [[face(100), forehead]] * 4) == [[1]] * 4
    assert not mesh.checks


def test_a_known_face_is_not_checked():
    mesh = Mesh(0.0)
    follow(Tracker(mesh), [[face(100)], *[[face(100, score=0.7)]] * 5])
    assert mesh.checks == 0


def test_two_hundred_faces_are_two_hundred_tracks(tracker):
    chance = np.random.default_rng(5)
    places = [(60 * (number % 20), 80 * (number // 20)) for number in range(200)]
    for number in range(6):
        shuffled = chance.permutation(200)
        shaken = [face(*(np.array(places[place]) + chance.uniform(-3, 3, 2)), width=40) for place in shuffled]
        faces, ended = tracker.update(shaken, number * STEP, ROOM)
        assert ended == []
        numbers = {int(place): each.track for each in faces for place in [shuffled[shaken.index(each.detection)]]}
        if number == 0:
            first = numbers
        assert numbers == first
    assert sorted(first.values()) == list(range(1, 201))


def test_accepts_two_frames_of_one_moment(tracker):
    """The clock of a camera may stop."""
    for _ in range(3):
        faces, ended = tracker.update([face(100)], 1.0, ROOM)
    assert ([each.track for each in faces], ended) == ([1], [])


def test_accepts_boxes_without_an_area(tracker):
    frames = [[face(0, 0, 0, height=0)], [face(0, 0, 0, height=0), face(100, 100, 0, height=50)]]
    assert len(follow(tracker, frames)[1]) == 2


def scene(*persons):
    """Return detections and the picture of persons, given as x, y, width and look."""
    image = np.full((480, 640, 3), (180, 170, 160), np.uint8)
    for x, y, width, look in persons:
        draw_face(image, round(x + width / 2), round(y + width * 0.65), width // 2, look)
    return [face(x, y, width) for x, y, width, _ in persons], image


def follow_scenes(tracker, frames, begin=0):
    """Return the track numbers of each frame."""
    updates = [tracker.update(*reorder(scene(*each), begin + number)) for number, each in enumerate(frames)]
    return [[each.track for each in faces] for faces, _ in updates]


def reorder(detections_and_image, number):
    detections, image = detections_and_image
    return detections, number * STEP, image


@pytest.mark.parametrize("seconds", [2.0, 4.0])
@pytest.mark.parametrize("moved", [0, 40], ids=["same place", "moved a little"])
def test_the_same_person_after_an_occlusion_is_one_track(tracker, seconds, moved):
    hidden = round(seconds / STEP)
    tracks = follow_scenes(tracker, [[(100, 100, 60, 0)]] * 5 + [[]] * hidden + [[(100 + moved, 100, 60, 0)]] * 5)
    assert tracks[-5:] == [[1]] * 5
    assert finish(tracker) == [(1, True)]


@pytest.mark.parametrize("look", [1, 2])
def test_two_persons_who_pass_the_same_spot_are_two_tracks(tracker, look):
    hidden = round(2 / STEP)
    tracks = follow_scenes(tracker, [[(100, 100, 60, 0)]] * 5 + [[]] * hidden + [[(100, 100, 60, look)]] * 5)
    assert tracks[-5:] == [[2]] * 5
    assert finish(tracker) == [(2, True), (1, True)]


def test_the_next_of_a_queue_is_another_track(tracker):
    """It comes from the place that the first person, of the same look, walked away from."""
    first = [[(100 + 15 * number, 100, 40, 0)] for number in range(10)]
    follow_scenes(tracker, [*first, *[[]] * round(2 / STEP)])
    assert follow_scenes(tracker, first[:3], 10 + round(2 / STEP)) == [[2]] * 3


def test_joins_a_person_whose_clothes_left_the_picture_before_the_occlusion(tracker):
    """The clothes are below the border for a second, and visible again after the occlusion."""
    seen = [(100, 100, 60, 1)] * 5 + [(100, min(410, 110 + 30 * number), 60, 1) for number in range(18)]
    frames = [[each] for each in seen] + [[]] * round(2 / STEP) + [[(100, 330, 60, 1)]] * 3
    assert follow_scenes(tracker, frames)[-1] == [1]


def test_two_persons_of_one_frame_are_never_joined(tracker):
    """The second is not confirmed yet when the first, of the same look, is hidden for a moment."""
    first, second = (200, 200, 80, 1), (288, 200, 80, 1)
    tracks = follow_scenes(tracker, [[first]] * 5 + [[first, second], [], [second], [first, second]])
    assert tracks[5:] == [[1, 2], [], [2], [1, 2]]


def test_a_person_of_another_size_is_another_track(tracker):
    tracks = follow_scenes(tracker, [[(100, 100, 80, 0)]] * 5 + [[]] * round(2 / STEP) + [[(110, 110, 50, 0)]] * 3)
    assert tracks[-3:] == [[2]] * 3


def test_joins_a_track_whose_first_detection_is_half_hidden(tracker):
    """The new number, which was reported once, ends unconfirmed."""
    follow_scenes(tracker, [[(100, 100, 60, 0)]] * 5 + [[]] * round(2 / STEP))
    detections, image = scene((100, 100, 60, 0))
    hidden = cv2.rectangle(image.copy(), (90, 90), (170, 150), (60, 200, 60), -1)
    number = 5 + round(2 / STEP)
    faces, ended = tracker.update(detections, number * STEP, hidden)
    assert ([each.track for each in faces], ended) == ([2], [])
    faces, ended = tracker.update(detections, (number + 1) * STEP, image)
    assert [(each.track, each.confirmed) for each in faces] == [(1, True)]
    assert [(end.track, end.confirmed, end.joined) for end in ended] == [(2, False, 1)]


def test_a_shift_moves_all_tracks(tracker):
    """Without it, the second face would be taken for the first."""
    follow(tracker, [[face(100), face(300)]] * 5)
    tracker.shift(200, 40)
    faces, _ = tracker.update([face(300, 140), face(500, 140)], 5 * STEP, ROOM)
    assert {each.detection.box[0]: each.track for each in faces} == {300: 1, 500: 2}


def test_a_shift_moves_a_waiting_track(tracker):
    follow_scenes(tracker, [[(100, 100, 60, 0)]] * 5 + [[]] * round(2 / STEP))
    tracker.shift(300, 0)
    assert follow_scenes(tracker, [[(400, 100, 60, 0)]], 5 + round(2 / STEP)) == [[1]]


def test_a_shift_is_no_velocity(tracker):
    follow(tracker, [[face(100)]] * 5)
    tracker.shift(200, 0)
    follow(tracker, [[face(300)]], begin=5 * STEP)
    assert follow(tracker, [[face(300)]] * 3, begin=12 * STEP) == [[1]] * 3


def test_a_cut_ends_all_tracks_like_an_ordinary_end(tracker):
    follow_scenes(tracker, [[(100, 100, 60, 0)]] * 5 + [[]] * round(2 / STEP))
    follow(tracker, [[face(400)], [face(400), face(500)]], begin=(5 + round(2 / STEP)) * STEP)
    assert sorted((end.track, end.confirmed) for end in tracker.cut()) == [(1, True), (2, True), (3, False)]
    assert finish(tracker) == []


class Patterns(Mesh):
    """Refuses faces of a high score, like patterns on a wall."""

    def check(self, image, detection):
        self.checks += 1
        return MeshResult(0.1 if detection.score > 0.72 else 0.9, 0.3)


def test_patterns_do_not_use_up_the_checks():
    scene = [face(100, score=0.78), face(200, score=0.76), face(400, score=0.7)]
    assert follow(Tracker(Patterns(0.0)), [scene] * 3) == [[], [1], [1]]


def test_each_pattern_is_checked_once_in_a_while():
    checked = []

    class Recorder(Patterns):
        def check(self, image, detection):
            checked.append(detection.box[0])
            return super().check(image, detection)

    tracker = Tracker(Recorder(0.0))
    scene = [face(100 * number, score=0.79 - number / 100) for number in range(6)]
    for number in (1, 2):
        follow(tracker, [scene] * round(UNCONFIRMED_SECONDS / STEP), begin=(number - 1) * UNCONFIRMED_SECONDS)
        assert sorted(checked) == sorted([each.box[0] for each in scene] * number)


def test_measures_the_appearance_of_a_long_track_now_and_then(tracker, monkeypatch):
    measured = []
    monkeypatch.setattr("face_app.edge.vision.tracker.describe", lambda image, box: measured.append(box) or FLAT)
    follow(tracker, [[face(100 + number)] for number in range(41)])
    seconds = 40 * STEP
    assert DESCRIBED_DETECTIONS + 0.5 * seconds / DESCRIBED_SECONDS < len(measured) < 0.7 * 41
