"""The gate runs the detector on motion and at each recheck, within the CPU limit."""

import numpy as np
import pytest

from face_app.common import settings
from face_app.edge.vision.gate import (
    DETECT_AFTER_MOTION,
    FULL_RATE_AFTER_EVENT,
    IDLE_RATE,
    MIN_RATE,
    QUIET_DIVISOR,
    Gate,
)
from face_app.edge.vision.motion import thumbnail

STILL = np.full((90, 160, 3), 120, np.uint8)
STEP = 0.25


def moved_frame(number):
    """Return a frame unlike all before it."""
    image = STILL.copy()
    image[:45, :80] = (number * 37) % 200
    return image


def run_gate(gate, seconds, *, begin=0.0, frame=STILL, pending=False, complete=True, cpu=0.0):
    """Return the moments at which the detector should run, seconds."""
    times = [begin + number * STEP for number in range(round(seconds / STEP))]
    detected = []
    for elapsed in times:
        if gate.should_detect(thumbnail(frame), elapsed):
            detected.append(elapsed)
            gate.record_detection(pending=pending, complete=complete, cpu=cpu, elapsed=elapsed)
    return detected


def test_detects_at_each_recheck_without_motion():
    gate = Gate(settings.Gate(recheck=5))
    detected = run_gate(gate, 60)
    assert detected[: round(DETECT_AFTER_MOTION / STEP) + 1] == [
        number * STEP for number in range(round(DETECT_AFTER_MOTION / STEP) + 1)
    ]
    later = [at for at in detected if at > DETECT_AFTER_MOTION]
    assert np.diff(later) == pytest.approx(5, abs=STEP)
    assert 10 <= len(later) <= 12


def test_motion_starts_detection_at_once_and_for_a_while():
    gate = Gate(settings.Gate(recheck=100))
    run_gate(gate, 10)
    assert gate.should_detect(thumbnail(moved_frame(1)), 10.0)
    detected = run_gate(gate, 10, begin=10 + STEP, frame=moved_frame(1))
    assert detected[0] == 10 + STEP
    assert DETECT_AFTER_MOTION <= detected[-1] - 10 < DETECT_AFTER_MOTION + 4  # the motion fades out of the past first


def test_detects_in_every_frame_during_motion():
    gate = Gate(settings.Gate(recheck=100))
    assert all(gate.should_detect(thumbnail(moved_frame(number)), number * STEP) for number in range(100))


def test_detects_in_every_frame_when_motion_is_off():
    gate = Gate(settings.Gate(motion=False))
    assert len(run_gate(gate, 30)) == round(30 / STEP)
    assert gate.interval < 1 / IDLE_RATE or gate.interval == pytest.approx(QUIET_DIVISOR / settings.Gate().rate)


def test_detects_a_face_of_a_recheck_like_one_in_motion():
    gate = Gate(settings.Gate(recheck=5))
    detected = run_gate(gate, 5)
    assert not gate.should_detect(thumbnail(STILL), 5.0)
    (at,) = run_gate(gate, 3 - STEP, begin=5 + STEP, pending=False)[:1]
    gate.record_detection(pending=True, complete=True, cpu=0.0, elapsed=at)
    assert len(detected) < 20
    assert len(run_gate(gate, DETECT_AFTER_MOTION, begin=at + STEP, pending=True)) == round(DETECT_AFTER_MOTION / STEP)


def test_checks_an_idle_scene_at_a_low_rate():
    gate = Gate(settings.Gate())
    run_gate(gate, DETECT_AFTER_MOTION + 2)
    assert gate.interval == pytest.approx(1 / IDLE_RATE)


def test_halves_the_rate_while_nothing_is_pending():
    gate = Gate(settings.Gate(motion=False, rate=10))
    run_gate(gate, 1, pending=True)
    assert gate.interval == pytest.approx(1 / 10)
    run_gate(gate, FULL_RATE_AFTER_EVENT - 0.5, begin=1)
    assert gate.interval == pytest.approx(1 / 10)
    run_gate(gate, 2, begin=1 + FULL_RATE_AFTER_EVENT - 0.5)
    assert gate.interval == pytest.approx(QUIET_DIVISOR / 10)
    run_gate(gate, 1, begin=3 + FULL_RATE_AFTER_EVENT, pending=True)
    assert gate.interval == pytest.approx(1 / 10)


def test_detects_at_the_full_rate_while_a_large_frame_is_read_in_parts():
    gate = Gate(settings.Gate(motion=False, rate=10))
    run_gate(gate, 10, complete=False)
    assert gate.interval == pytest.approx(1 / 10)
    run_gate(gate, 1, begin=10)
    assert gate.interval == pytest.approx(QUIET_DIVISOR / 10)


def test_motion_after_stillness_restores_the_full_rate():
    gate = Gate(settings.Gate(rate=10))
    run_gate(gate, 20)
    gate.should_detect(thumbnail(moved_frame(1)), 20.0)
    assert gate.interval == pytest.approx(1 / 10)


def test_expensive_detections_run_less_often():
    def interval(cpu):
        gate = Gate(settings.Gate(motion=False, rate=8, cpu=0.5))
        run_gate(gate, 5, pending=True, cpu=cpu)
        return gate.interval

    assert interval(0.01) == pytest.approx(1 / 8)
    assert interval(0.1) == pytest.approx(0.1 / 0.5)
    assert interval(0.4) == pytest.approx(0.4 / 0.5)
    assert interval(60.0) == pytest.approx(1 / MIN_RATE)


def test_one_expensive_detection_is_averaged_out():
    gate = Gate(settings.Gate(motion=False, rate=8, cpu=0.5))
    run_gate(gate, 5, pending=True, cpu=0.01)
    gate.record_detection(pending=True, complete=True, cpu=2.0, elapsed=5.0)
    assert gate.interval > 1 / 8
    run_gate(gate, 20, begin=5.25, pending=True, cpu=0.01)
    assert gate.interval == pytest.approx(1 / 8)


def test_quiet_scenes_never_fall_below_the_least_rate():
    gate = Gate(settings.Gate(motion=False, rate=1))
    run_gate(gate, 20)
    assert gate.interval == pytest.approx(1 / MIN_RATE)


def test_ignores_the_cost_without_a_cpu_limit():
    gate = Gate(settings.Gate(motion=False, rate=8), limit_cpu=False)
    run_gate(gate, 5, pending=True, cpu=9.0)
    assert gate.interval == pytest.approx(1 / 8)


def test_starts_at_the_full_rate():
    assert Gate(settings.Gate(rate=4)).interval == pytest.approx(1 / 4)


def test_uses_only_differences_of_the_clock():
    def run(begin):
        return [at - begin for at in run_gate(Gate(settings.Gate()), 30, begin=begin)]

    assert run(0.0) == run(4096.0)


def test_reports_how_many_detections_the_cpu_limit_allows():
    gate = Gate(settings.Gate(cpu=0.5))
    assert gate.affordable == float("inf")
    gate.record_detection(pending=False, complete=False, cpu=0.1, elapsed=0.0)
    assert gate.affordable == pytest.approx(5)
    assert Gate(settings.Gate(), limit_cpu=False).affordable == float("inf")
