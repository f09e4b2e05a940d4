"""One crop a track and second; tracks follow faces."""

from face_app.edge.detect import Detection

from face_app.edge.track import Tracker


def face(x, y=100.0, size=50.0):
    return Detection((x, y, x + size, y + size), (), 0.9)


def test_a_face_that_stays_is_due_once_a_second():
    tracker = Tracker()
    due = [frame / 25 for frame in range(76) if tracker.update([face(100 + frame)], frame / 25)[0].due]
    assert due == [0, 1, 2, 3]


def test_the_first_crop_of_a_track_is_told():
    tracker = Tracker()
    assert tracker.update([face(100)], 0.0)[0].first
    assert not tracker.update([face(100)], 1.0)[0].first


def test_two_faces_are_two_tracks_whatever_their_order():
    tracker = Tracker()
    left, right = tracker.update([face(100), face(300)], 0.0)
    assert left.track != right.track
    again = tracker.update([face(305), face(102)], 0.1)
    assert [each.track for each in again] == [right.track, left.track]


def test_the_larger_overlap_wins():
    tracker = Tracker()
    (known,) = tracker.update([face(100)], 0.0)
    near, exact = tracker.update([face(115), face(101)], 0.1)
    assert exact.track == known.track
    assert near.track != known.track


def test_a_face_elsewhere_is_another_track():
    tracker = Tracker()
    (one,) = tracker.update([face(100)], 0.0)
    (other,) = tracker.update([face(300)], 0.1)
    assert other.first
    assert other.track != one.track


def test_a_track_lives_for_a_second_unseen():
    tracker = Tracker()
    (one,) = tracker.update([face(100)], 0.0)
    assert tracker.update([], 0.5) == []
    assert tracker.update([face(100)], 1.0)[0].track == one.track
    (late,) = tracker.update([face(100)], 2.5)
    assert late.first
    assert late.track != one.track
