"""The kernel's word on the clock."""

import ctypes

import pytest

from face_app.edge.clock import clock_synchronised

UNSYNC = 0x0040


def kernel(answer, status):
    """A C library whose kernel gives this answer and this status."""

    class Library:
        @staticmethod
        def adjtimex(pointer):
            # status follows modes and four longs; see adjtimex(2)
            place = ctypes.sizeof(ctypes.c_long) * 5
            ctypes.c_int.from_address(ctypes.addressof(pointer._obj) + place).value = status
            return answer

    return lambda _: Library


@pytest.mark.parametrize(
    ("answer", "status", "synchronised"),
    [(0, 0x2001, True), (0, 0x2001 | UNSYNC, False), (5, UNSYNC, False), (-1, 0, None), (-1, UNSYNC, None)],
)
def test_what_the_kernel_says(monkeypatch, answer, status, synchronised):
    monkeypatch.setattr("ctypes.CDLL", kernel(answer, status))
    assert clock_synchronised() is synchronised


def test_it_is_the_word_of_this_kernel():
    """TIME_ERROR, 5, is what adjtimex answers while the clock is not synchronised."""
    room = ctypes.create_string_buffer(512)
    answer = ctypes.CDLL(None).adjtimex(room)
    if answer in {0, 5}:
        assert clock_synchronised() is (answer == 0)
    else:
        assert clock_synchronised() is (None if answer < 0 else True)


def test_a_system_without_the_call(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert clock_synchronised() is None
