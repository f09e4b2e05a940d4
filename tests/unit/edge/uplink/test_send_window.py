"""The arithmetic of resending, with times as numbers."""

import pytest

from face_app.common import settings
from face_app.edge.uplink.send_window import Lane, Window


@pytest.fixture
def window():
    return Window(settings.Sender(window=3, resend_after=5, resend_cap=60))


def test_room(window):
    assert [window.room(lane) for lane in Lane] == [2, 1]
    window.sent(1, 101, 0, Lane.BACKLOG)
    window.sent(2, 102, 0, Lane.LIVE)
    window.sent(1, 103, 9, Lane.LIVE)
    assert [window.room(lane) for lane in Lane] == [1, 0]
    assert window.rows == {1, 2}
    window.settled(1, now=10, up_since=0)
    window.forget(2)
    assert [window.room(lane) for lane in Lane] == [2, 1]


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


def drive(window, *, round_trip, seconds):
    """Send a face a second over a slow way, and again when it is overdue; returns how often each was sent."""
    tries, due, message = {}, {}, 0
    for tenth in range(seconds * 10):
        now = tenth / 10
        for row in sorted(row for row, at in due.items() if at <= now):
            del due[row]
            window.settled(row, now, up_since=0)
        fresh = [tenth // 10 + 1] if tenth % 10 == 0 else []
        for row in [*fresh, *window.overdue(now, up_since=0)]:
            message += 1
            window.sent(row, message, now)
            window.answered(message)
            tries[row] = tries.get(row, 0) + 1
            due.setdefault(row, now + round_trip)
    return list(tries.values())


@pytest.mark.parametrize("round_trip", [8, 20])
def test_a_slow_cloud_raises_the_time_out_until_nothing_is_sent_twice(round_trip):
    window = Window(settings.Sender(window=1000, resend_after=5, resend_cap=300))
    tries = drive(window, round_trip=round_trip, seconds=400)
    assert max(tries[:5]) > 1
    assert set(tries[60:]) == {1}
    assert window.timeout(1) >= round_trip


def test_the_time_out_is_the_round_trip_and_four_times_its_variation(window):
    """RFC 6298: a first measure of 8 s gives 8 + 4 * 4."""
    window.sent(1, 101, now=0)
    window.settled(1, now=8, up_since=0)
    assert window.timeout(1) == pytest.approx(24)
    for _ in range(200):
        window.sent(2, 102, now=0)
        window.settled(2, now=0.1, up_since=0)
    assert window.timeout(1) == 5


def test_a_face_that_was_sent_twice_tells_no_round_trip(window):
    window.sent(1, 101, now=0)
    window.sent(1, 102, now=50)
    window.settled(1, now=51, up_since=0)
    assert not window._measured


def test_time_on_a_closed_way_is_no_round_trip(window):
    window.sent(1, 101, now=0)
    window.settled(1, now=1000, up_since=990)
    window.sent(2, 102, now=1000)
    window.settled(2, now=1001, up_since=None)
    assert window.timeout(1) == 5


def test_thousands_of_attempts_do_not_overflow(window):
    assert window.timeout(5000) == 60


def test_over_a_closed_way_one_face_is_tried_a_cap(window):
    for row in (1, 2):
        window.sent(row, 100 + row, now=row)
        window.answered(100 + row)
    assert window.longest_due(61) == []
    assert window.longest_due(63) == [1]
    window.sent(1, 111, now=63)
    window.answered(111)
    assert window.longest_due(100) == []
    assert window.longest_due(124) == [2]
