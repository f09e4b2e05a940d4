"""An edge cannot fill the quarantine."""

from face_app.cloud.subscriber.quarantine import HOUR, MAX_BYTES, MAX_COPIES, MAX_EDGES, Quarantine


def test_the_copies_of_an_edge_and_hour_are_limited():
    now = 0.0
    quarantine = Quarantine(clock=lambda: now)
    assert [quarantine.admit("a", 1) for _ in range(MAX_COPIES + 1)] == [True] * MAX_COPIES + [False]
    assert quarantine.admit("b", 1)
    now = HOUR
    assert quarantine.admit("a", 1)


def test_the_bytes_of_an_edge_and_hour_are_limited():
    quarantine = Quarantine()
    assert quarantine.admit("a", MAX_BYTES - 1)
    assert not quarantine.admit("a", 2)
    assert quarantine.admit("a", 1)
    assert quarantine.admit("b", MAX_BYTES)


def test_invented_names_are_limited():
    quarantine = Quarantine()
    assert all(quarantine.admit(f"edge-{number}", 1) for number in range(MAX_EDGES))
    assert not quarantine.admit("one more", 1)
    assert quarantine.admit("edge-0", 1)
