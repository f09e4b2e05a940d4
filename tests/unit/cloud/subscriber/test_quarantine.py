"""An edge cannot fill the quarantine."""

from face_app.cloud.subscriber.quarantine import HOUR, MAX_BYTES, MAX_EDGES, MAX_OBJECTS, QuarantineLimit


def test_the_objects_of_an_edge_and_hour_are_limited():
    now = 0.0
    limit = QuarantineLimit(clock=lambda: now)
    keys = [str(number) for number in range(MAX_OBJECTS + 1)]
    assert [limit.admit("a", key, 1) for key in keys] == [True] * MAX_OBJECTS + [False]
    assert limit.admit("b", "0", 1)
    now = HOUR
    assert limit.admit("a", keys[-1], 1)


def test_the_bytes_of_an_edge_and_hour_are_limited():
    limit = QuarantineLimit()
    assert limit.admit("a", "0", MAX_BYTES - 1)
    assert not limit.admit("a", "1", 2)
    assert limit.admit("a", "2", 1)
    assert limit.admit("b", "0", MAX_BYTES)


def test_an_object_that_is_tried_again_counts_once():
    limit = QuarantineLimit()
    assert all(limit.admit("a", "same", MAX_BYTES // 2) for _ in range(2 * MAX_OBJECTS))
    assert limit.admit("a", "other", MAX_BYTES // 2)


def test_invented_names_are_limited():
    limit = QuarantineLimit()
    assert all(limit.admit(f"edge-{number}", "0", 1) for number in range(MAX_EDGES))
    assert not limit.admit("one more", "0", 1)
    assert limit.admit("edge-0", "1", 1)
