"""The kernel's word on the clock."""

from face_app.edge.clock import clock_synchronised


def test_it_knows_or_says_that_it_does_not():
    assert clock_synchronised() in {True, False, None}


def test_a_system_without_the_call(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert clock_synchronised() is None
