"""The window against a modelled way: it fills the way, and does not queue for longer than the target."""

import pytest

from face_app.edge.uplink.send_window import FEWEST, TARGET_SECONDS, InFlightLimit


def run(pace, *, rate, distance, faces, at=0.0):
    """Send faces through a way of one queue; returns the seconds each was on its way, and when each arrived."""
    flights, free_at, seconds, arrivals, now = [], at, [], [], at
    for _ in range(faces):
        while len(flights) >= pace.limit:
            sent, done = flights.pop(0)
            now = max(now, done)
            seconds.append(now - sent)
            arrivals.append(done)
            pace.measured(now - sent, now, in_flight=len(flights) + 1)
        free_at = max(free_at, now + distance / 2) + 1 / rate
        flights.append((now, free_at + distance / 2))
    return seconds, arrivals


@pytest.mark.parametrize(("rate", "distance"), [(40, 0.01), (100, 0.1), (800, 0.02), (800, 0.4)])
def test_the_way_is_filled_and_the_delay_stays_near_the_target(rate, distance):
    pace = InFlightLimit(10_000)
    run(pace, rate=rate, distance=distance, faces=4000)
    start = 10_000.0
    seconds, arrivals = run(pace, rate=rate, distance=distance, faces=4000, at=start)
    assert len(arrivals) / (arrivals[-1] - arrivals[0]) > 0.95 * rate
    assert sorted(seconds)[len(seconds) * 95 // 100] < distance + 2 * TARGET_SECONDS


def test_it_never_exceeds_the_setting_and_never_stops(monkeypatch):
    pace = InFlightLimit(100)
    run(pace, rate=5000, distance=0.5, faces=3000)
    assert pace.limit == 100
    for second in range(1000):
        pace.measured(30.0, 100.0 + second, in_flight=100)
    assert pace.limit == FEWEST
    assert InFlightLimit(5).limit == 5


def test_a_window_that_is_not_used_does_not_grow():
    pace = InFlightLimit(1000)
    for second in range(1000):
        pace.measured(0.01, float(second), in_flight=1)
    assert pace.limit == FEWEST


def test_losses_halve_it_once_a_round_trip():
    pace = InFlightLimit(1000)
    run(pace, rate=5000, distance=0.5, faces=3000)
    before = pace.limit
    for _ in range(10):
        pace.lost(100.0, 1.0)
    assert pace.limit == before // 2
    pace.lost(101.5, 1.0)
    assert pace.limit == before // 4
