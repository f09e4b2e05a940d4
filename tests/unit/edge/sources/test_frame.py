"""The schedule selects frames at the requested rate, on average and never in a burst."""

import numpy as np
import pytest

from face_app.edge.sources.frame import FrameSchedule


def select(schedule, moments):
    selected = []
    for at in moments:
        if schedule.is_due(at):
            schedule.advance(at)
            selected.append(at)
    return selected


@pytest.mark.parametrize(
    ("rate", "interval", "expected"),
    [(25, 0.1, 10), (30, 0.1, 10), (25, 0.04, 25), (25, 0.2, 5), (25, 1, 1), (5, 0.15, 5), (25, 0, 25), (30, 1 / 7, 7)],
)
def test_meets_the_rate_on_average(rate, interval, expected):
    schedule = FrameSchedule()
    schedule.interval = interval
    selected = select(schedule, np.arange(rate * 60) / rate)
    assert len(selected) / 60 == pytest.approx(expected, rel=0.01)


def test_accepts_frame_times_that_are_sums_of_floats():
    schedule = FrameSchedule()
    schedule.interval = 0.1
    assert len(select(schedule, np.cumsum(np.full(1000, 0.1)))) == 1000


def test_no_burst_after_a_gap():
    schedule = FrameSchedule()
    schedule.interval = 1.0
    selected = select(schedule, np.concatenate([np.arange(0, 5, 0.04), np.arange(60, 65, 0.04)]))
    assert np.diff(selected).min() > 0.9


def test_a_new_interval_applies_at_once():
    schedule = FrameSchedule()
    schedule.interval = 10
    assert select(schedule, [0, 1, 2]) == [0]
    schedule.interval = 0.5
    assert select(schedule, [3.0, 3.2, 3.5]) == [3.0, 3.5]


def test_selects_the_next_frame_after_a_broken_one():
    schedule = FrameSchedule()
    schedule.interval = 1
    assert select(schedule, [0.0]) == [0]
    assert [schedule.is_due(at) for at in (0.5, 1.0, 1.1)] == [False, True, True]
