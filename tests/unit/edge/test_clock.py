"""The state of the clock comes from the kernel."""

import ctypes

import pytest

from face_app.edge.clock import clock_synchronised

UNSYNC = 0x0040


def kernel(state, status):
    """Return a C library whose kernel reports this state and this status."""

    class Library:
        @staticmethod
        def adjtimex(pointer):
            # status follows modes and four longs; see adjtimex(2)
            place = ctypes.sizeof(ctypes.c_long) * 5
            ctypes.c_int.from_address(ctypes.addressof(pointer._obj) + place).value = status
            return state

    return lambda _: Library


@pytest.mark.parametrize(
    ("state", "status", "synchronised"),
    [(0, 0x2001, True), (0, 0x2001 | UNSYNC, False), (5, UNSYNC, False), (-1, 0, None), (-1, UNSYNC, None)],
)
def test_translates_the_state_of_the_kernel(monkeypatch, state, status, synchronised):
    monkeypatch.setattr("ctypes.CDLL", kernel(state, status))
    assert clock_synchronised() is synchronised


def test_agrees_with_this_kernel():
    """TIME_ERROR, 5, is the state of a clock that is not synchronised."""
    room = ctypes.create_string_buffer(512)
    state = ctypes.CDLL(None).adjtimex(room)
    if state in {0, 5}:
        assert clock_synchronised() is (state == 0)
    else:
        assert clock_synchronised() is (None if state < 0 else True)


def test_returns_none_without_adjtimex(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert clock_synchronised() is None
