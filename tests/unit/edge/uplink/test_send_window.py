"""Checks the time-outs of `SendWindow`, and `InFlightLimit` on a simulated link."""

import pytest

from face_app.common import settings
from face_app.edge.uplink.send_window import MIN_IN_FLIGHT, TARGET_SECONDS, InFlightLimit, Lane, SendWindow


@pytest.fixture
def window():
    return SendWindow(settings.Sender(window=3, resend_after=5, resend_cap=60))


def test_each_lane_has_a_share_of_the_limit(window):
    assert [window.capacity(lane) for lane in Lane] == [2, 1]
    window.record_sent(1, 101, 0, Lane.BACKLOG)
    window.record_sent(2, 102, 0, Lane.LIVE)
    window.record_sent(1, 103, 9, Lane.LIVE)
    assert [window.capacity(lane) for lane in Lane] == [1, 0]
    assert window.rows == {1, 2}
    window.record_receipt(1, now=10, up_since=0)
    window.discard(2)
    assert [window.capacity(lane) for lane in Lane] == [2, 1]


def test_doubles_the_time_out_with_each_attempt(window):
    now = 0.0
    for message, wait in enumerate([5, 10, 20, 40, 60, 60]):
        window.record_sent(1, message, now)
        window.record_acknowledgement(message)
        assert window.overdue(now + wait - 0.01, up_since=0) == []
        now += wait + 0.1
        assert window.overdue(now, up_since=0) == [1]


def test_time_with_the_uplink_down_does_not_count(window):
    window.record_sent(1, 101, now=0)
    window.record_acknowledgement(101)
    assert window.overdue(1000, up_since=998) == []
    assert window.overdue(1003.1, up_since=998) == [1]


def test_a_face_without_an_acknowledgement_is_not_sent_again(window):
    window.record_sent(1, 101, now=0)
    assert window.overdue(1000, up_since=0) == []
    window.record_acknowledgement(101)
    assert window.overdue(1000, up_since=0) == [1]


def test_an_acknowledgement_of_an_earlier_attempt_does_not_count(window):
    window.record_sent(1, 101, now=0)
    window.record_acknowledgement(101)
    window.record_sent(1, 102, now=6)
    window.record_acknowledgement(101)
    window.record_acknowledgement(999)
    assert window.overdue(1000, up_since=0) == []


def test_overdue_faces_are_sorted_oldest_first(window):
    for sequence in (3, 1, 2):
        window.record_sent(sequence, 100 + sequence, now=0)
        window.record_acknowledgement(100 + sequence)
    assert window.overdue(6, up_since=0) == [1, 2, 3]


def drive(window, *, round_trip, seconds):
    """Send a face per second over a slow link, and again when it is overdue; return the attempts of each."""
    tries, due, message = {}, {}, 0
    for tenth in range(seconds * 10):
        now = tenth / 10
        for row in sorted(row for row, at in due.items() if at <= now):
            del due[row]
            window.record_receipt(row, now, up_since=0)
        fresh = [tenth // 10 + 1] if tenth % 10 == 0 else []
        for row in [*fresh, *window.overdue(now, up_since=0)]:
            message += 1
            window.record_sent(row, message, now)
            window.record_acknowledgement(message)
            tries[row] = tries.get(row, 0) + 1
            due.setdefault(row, now + round_trip)
    return list(tries.values())


@pytest.mark.parametrize("round_trip", [8, 20])
def test_a_slow_cloud_raises_the_time_out_until_no_face_is_sent_twice(round_trip):
    window = SendWindow(settings.Sender(window=1000, resend_after=5, resend_cap=300))
    tries = drive(window, round_trip=round_trip, seconds=400)
    assert max(tries[:5]) > 1
    assert set(tries[60:]) == {1}
    assert window.timeout(1) >= round_trip


def test_the_time_out_is_the_round_trip_and_four_times_its_variation(window):
    """RFC 6298: a first round trip of 8 s gives 8 + 4 * 4."""
    window.record_sent(1, 101, now=0)
    window.record_receipt(1, now=8, up_since=0)
    assert window.timeout(1) == pytest.approx(24)
    for _ in range(200):
        window.record_sent(2, 102, now=0)
        window.record_receipt(2, now=0.1, up_since=0)
    assert window.timeout(1) == 5


def test_a_face_that_was_sent_twice_measures_no_round_trip(window):
    window.record_sent(1, 101, now=0)
    window.record_sent(1, 102, now=50)
    window.record_receipt(1, now=51, up_since=0)
    assert not window._measured


def test_a_face_sent_before_the_uplink_was_up_measures_no_round_trip(window):
    window.record_sent(1, 101, now=0)
    window.record_receipt(1, now=1000, up_since=990)
    window.record_sent(2, 102, now=1000)
    window.record_receipt(2, now=1001, up_since=None)
    assert window.timeout(1) == 5


def test_thousands_of_attempts_do_not_overflow(window):
    assert window.timeout(5000) == 60


def test_probes_a_closed_uplink_with_one_face_per_resend_cap(window):
    for row in (1, 2):
        window.record_sent(row, 100 + row, now=row)
        window.record_acknowledgement(100 + row)
    assert window.probe(61) == []
    assert window.probe(63) == [1]
    window.record_sent(1, 111, now=63)
    window.record_acknowledgement(111)
    assert window.probe(100) == []
    assert window.probe(124) == [2]


def send_through(limit, *, rate, distance, faces, at=0.0):
    """Send faces through one queue; return the seconds of each in flight, and the time of each arrival."""
    flights, free_at, seconds, arrivals, now = [], at, [], [], at
    for _ in range(faces):
        while len(flights) >= limit.limit:
            sent, done = flights.pop(0)
            now = max(now, done)
            seconds.append(now - sent)
            arrivals.append(done)
            limit.record_round_trip(now - sent, now, in_flight=len(flights) + 1)
        free_at = max(free_at, now + distance / 2) + 1 / rate
        flights.append((now, free_at + distance / 2))
    return seconds, arrivals


@pytest.mark.parametrize(("rate", "distance"), [(40, 0.01), (100, 0.1), (800, 0.02), (800, 0.4)])
def test_fills_the_link_and_stays_near_the_target_delay(rate, distance):
    limit = InFlightLimit(10_000)
    send_through(limit, rate=rate, distance=distance, faces=4000)
    start = 10_000.0
    seconds, arrivals = send_through(limit, rate=rate, distance=distance, faces=4000, at=start)
    assert len(arrivals) / (arrivals[-1] - arrivals[0]) > 0.95 * rate
    assert sorted(seconds)[len(seconds) * 95 // 100] < distance + 2 * TARGET_SECONDS


def test_the_limit_stays_between_its_minimum_and_the_setting():
    limit = InFlightLimit(100)
    send_through(limit, rate=5000, distance=0.5, faces=3000)
    assert limit.limit == 100
    for second in range(1000):
        limit.record_round_trip(30.0, 100.0 + second, in_flight=100)
    assert limit.limit == MIN_IN_FLIGHT
    assert InFlightLimit(5).limit == 5


def test_an_unused_limit_does_not_grow():
    limit = InFlightLimit(1000)
    for second in range(1000):
        limit.record_round_trip(0.01, float(second), in_flight=1)
    assert limit.limit == MIN_IN_FLIGHT


def test_losses_halve_the_limit_once_per_round_trip():
    limit = InFlightLimit(1000)
    send_through(limit, rate=5000, distance=0.5, faces=3000)
    before = limit.limit
    for _ in range(10):
        limit.record_loss(100.0, 1.0)
    assert limit.limit == before // 2
    limit.record_loss(101.5, 1.0)
    assert limit.limit == before // 4
