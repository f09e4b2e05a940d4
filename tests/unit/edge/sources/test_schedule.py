"""Which frames are let through: the rate that was asked for, on average, never in a burst."""

import numpy as np
import pytest

from face_app.edge.sources.schedule import Schedule


def let_through(schedule, moments):
    given = []
    for at in moments:
        if schedule.due(at):
            schedule.took(at)
            given.append(at)
    return given


@pytest.mark.parametrize(
    ("rate", "interval", "expected"),
    [(25, 0.1, 10), (30, 0.1, 10), (25, 0.04, 25), (25, 0.2, 5), (25, 1, 1), (5, 0.15, 5), (25, 0, 25), (30, 1 / 7, 7)],
)
def test_the_rate_is_kept_on_average(rate, interval, expected):
    schedule = Schedule()
    schedule.interval = interval
    given = let_through(schedule, np.arange(rate * 60) / rate)
    assert len(given) / 60 == pytest.approx(expected, rel=0.01)


def test_frame_times_that_are_sums_of_floats():
    schedule = Schedule()
    schedule.interval = 0.1
    assert len(let_through(schedule, np.cumsum(np.full(1000, 0.1)))) == 1000


def test_no_burst_after_a_gap():
    schedule = Schedule()
    schedule.interval = 1.0
    given = let_through(schedule, np.concatenate([np.arange(0, 5, 0.04), np.arange(60, 65, 0.04)]))
    assert np.diff(given).min() > 0.9


def test_another_interval_holds_at_once():
    schedule = Schedule()
    schedule.interval = 10
    assert let_through(schedule, [0, 1, 2]) == [0]
    schedule.interval = 0.5
    assert let_through(schedule, [3.0, 3.2, 3.5]) == [3.0, 3.5]


def test_after_a_broken_frame_the_next_one_is_wanted():
    schedule = Schedule()
    schedule.interval = 1
    assert let_through(schedule, [0.0]) == [0]
    assert [schedule.due(at) for at in (0.5, 1.0, 1.1)] == [False, True, True]
