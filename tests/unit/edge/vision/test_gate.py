"""How often it is looked for faces: while something moves, and now and then all the same; never for too much CPU."""

import numpy as np
import pytest

from face_app.common import settings
from face_app.edge.vision.gate import CALM, HOLD, IDLE_RATE, NEWS, SLOWEST, Gate

STILL = np.full((90, 160, 3), 120, np.uint8)
STEP = 0.25


def moved(number):
    """A frame that is like none before it."""
    image = STILL.copy()
    image[:45, :80] = (number * 37) % 200
    return image


def opened(gate, seconds, *, begin=0.0, frame=STILL, news=False, cpu=0.0):
    """The moments at which it opened."""
    times = [begin + number * STEP for number in range(round(seconds / STEP))]
    through = []
    for elapsed in times:
        if gate.opens(frame, elapsed):
            through.append(elapsed)
            gate.told(news=news, cpu=cpu, elapsed=elapsed)
    return through


def test_where_nothing_moves_there_is_a_look_at_each_recheck():
    gate = Gate(settings.Gate(recheck=5))
    through = opened(gate, 60)
    assert through[: round(HOLD / STEP) + 1] == [number * STEP for number in range(round(HOLD / STEP) + 1)]
    later = [at for at in through if at > HOLD]
    assert np.diff(later) == pytest.approx(5, abs=STEP)
    assert 10 <= len(later) <= 12


def test_motion_opens_it_at_once_and_holds_it():
    gate = Gate(settings.Gate(recheck=100))
    opened(gate, 10)
    assert gate.opens(moved(1), 10.0)
    through = opened(gate, 10, begin=10 + STEP, frame=moved(1))
    assert through[0] == 10 + STEP
    assert HOLD <= through[-1] - 10 < HOLD + 4  # the motion fades out of the past first


def test_while_it_moves_every_frame_goes_through():
    gate = Gate(settings.Gate(recheck=100))
    assert all(gate.opens(moved(number), number * STEP) for number in range(100))


def test_without_the_gate_every_frame_goes_through():
    gate = Gate(settings.Gate(motion=False))
    assert len(opened(gate, 30)) == round(30 / STEP)
    assert gate.interval < 1 / IDLE_RATE or gate.interval == pytest.approx(CALM / settings.Gate().rate)


def test_a_face_that_a_recheck_finds_is_looked_at_like_one_in_motion():
    gate = Gate(settings.Gate(recheck=5))
    through = opened(gate, 5)
    assert not gate.opens(STILL, 5.0)
    (at,) = opened(gate, 3 - STEP, begin=5 + STEP, news=False)[:1]
    gate.told(news=True, cpu=0.0, elapsed=at)
    assert len(through) < 20
    assert len(opened(gate, HOLD, begin=at + STEP, news=True)) == round(HOLD / STEP)


def test_a_scene_that_is_idle_is_compared_at_a_low_rate():
    gate = Gate(settings.Gate())
    opened(gate, HOLD + 2)
    assert gate.interval == pytest.approx(1 / IDLE_RATE)


def test_the_rate_is_halved_without_news_and_whole_with_them():
    gate = Gate(settings.Gate(motion=False, rate=10))
    opened(gate, 1, news=True)
    assert gate.interval == pytest.approx(1 / 10)
    opened(gate, NEWS - 0.5, begin=1)
    assert gate.interval == pytest.approx(1 / 10)
    opened(gate, 2, begin=1 + NEWS - 0.5)
    assert gate.interval == pytest.approx(CALM / 10)
    opened(gate, 1, begin=3 + NEWS, news=True)
    assert gate.interval == pytest.approx(1 / 10)


def test_motion_after_stillness_is_news():
    gate = Gate(settings.Gate(rate=10))
    opened(gate, 20)
    gate.opens(moved(1), 20.0)
    assert gate.interval == pytest.approx(1 / 10)


def test_dear_looks_become_fewer_and_cheap_ones_do_not():
    def interval(cpu):
        gate = Gate(settings.Gate(motion=False, rate=8, cpu=0.5))
        opened(gate, 5, news=True, cpu=cpu)
        return gate.interval

    assert interval(0.01) == pytest.approx(1 / 8)
    assert interval(0.1) == pytest.approx(0.1 / 0.5)
    assert interval(0.4) == pytest.approx(0.4 / 0.5)
    assert interval(60.0) == pytest.approx(1 / SLOWEST)


def test_one_dear_look_among_many_is_forgotten():
    gate = Gate(settings.Gate(motion=False, rate=8, cpu=0.5))
    opened(gate, 5, news=True, cpu=0.01)
    gate.told(news=True, cpu=2.0, elapsed=5.0)
    assert gate.interval > 1 / 8
    opened(gate, 20, begin=5.25, news=True, cpu=0.01)
    assert gate.interval == pytest.approx(1 / 8)


def test_no_calm_makes_looks_fewer_than_the_slowest():
    gate = Gate(settings.Gate(motion=False, rate=1))
    opened(gate, 20)
    assert gate.interval == pytest.approx(1 / SLOWEST)


def test_without_a_budget_the_cost_does_not_count():
    gate = Gate(settings.Gate(motion=False, rate=8), budget=False)
    opened(gate, 5, news=True, cpu=9.0)
    assert gate.interval == pytest.approx(1 / 8)


def test_before_the_first_look_the_rate_is_whole():
    assert Gate(settings.Gate(rate=4)).interval == pytest.approx(1 / 4)


def test_only_differences_of_the_sources_clock_count():
    def run(begin):
        return [at - begin for at in opened(Gate(settings.Gate()), 30, begin=begin)]

    assert run(0.0) == run(4096.0)
