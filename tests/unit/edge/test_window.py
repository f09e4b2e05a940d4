"""The arithmetic of resending, with times as numbers."""

import pytest

from face_app import settings
from face_app.edge.window import Window


@pytest.fixture
def window():
    return Window(settings.Sender(window=3, resend_after=5, resend_cap=60))


def test_room(window):
    assert window.room == 3
    window.sent(1, 101, now=0)
    window.sent(2, 102, now=0)
    window.sent(1, 103, now=9)
    assert window.room == 1
    window.settled(1, now=10)
    window.forget(2)
    assert window.room == 3


def test_a_face_is_overdue_after_the_time_out_and_twice_as_late_each_time(window):
    now = 0.0
    for message, wait in enumerate([5, 10, 20, 40, 60, 60]):
        window.sent(1, message, now)
        window.answered(message)
        assert window.overdue(now + wait - 0.01, up_since=0) == []
        now += wait + 0.1
        assert window.overdue(now, up_since=0) == [1]


def test_time_counts_from_when_the_link_came_up(window):
    window.sent(1, 101, now=0)
    window.answered(101)
    assert window.overdue(1000, up_since=998) == []
    assert window.overdue(1003.1, up_since=998) == [1]


def test_what_the_client_still_holds_is_not_sent_again(window):
    window.sent(1, 101, now=0)
    assert window.overdue(1000, up_since=0) == []
    window.answered(101)
    assert window.overdue(1000, up_since=0) == [1]


def test_an_old_answer_does_not_count_for_a_later_attempt(window):
    window.sent(1, 101, now=0)
    window.answered(101)
    window.sent(1, 102, now=6)
    window.answered(101)
    window.answered(999)
    assert window.overdue(1000, up_since=0) == []


def test_the_oldest_first(window):
    for sequence in (3, 1, 2):
        window.sent(sequence, 100 + sequence, now=0)
        window.answered(100 + sequence)
    assert window.overdue(6, up_since=0) == [1, 2, 3]


def test_a_slow_cloud_raises_the_time_out(window):
    """RFC 6298: smoothed round trip plus four times its variation; a first measure of 8 s gives 8 + 4 * 4."""
    window.sent(1, 101, now=0)
    window.settled(1, now=8)
    assert window.timeout(1) == pytest.approx(24)
    for _ in range(200):
        window.sent(2, 102, now=0)
        window.settled(2, now=8)
    assert window.timeout(1) == pytest.approx(8, abs=0.5)
    for _ in range(200):
        window.sent(2, 102, now=0)
        window.settled(2, now=0.1)
    assert window.timeout(1) == 5


def test_a_face_that_was_sent_twice_tells_no_round_trip(window):
    window.sent(1, 101, now=0)
    window.sent(1, 102, now=50)
    window.settled(1, now=51)
    assert window.timeout(1) == 5


def test_thousands_of_attempts_do_not_overflow(window):
    assert window.timeout(5000) == 60
