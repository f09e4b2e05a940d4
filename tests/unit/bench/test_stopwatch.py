"""A stage inside a stage."""

import pytest

from bench.eyes.stopwatch import Stopwatch


def test_counts_a_nested_stage_once():
    now = 0.0

    def work(seconds, *inner):
        nonlocal now
        now += seconds
        for each in inner:
            each()

    watch = Stopwatch(lambda: now)
    resize = watch.wrap("resize", lambda: work(1))
    detect = watch.wrap("detect", lambda: work(10, resize, resize))
    watch.wrap("rest", lambda: work(100, detect, resize))()
    assert watch.seconds == {"rest": 100, "detect": 10, "resize": 3}


def test_a_stage_that_fails_is_counted_and_leaves_no_trace():
    now = 0.0

    def fail():
        nonlocal now
        now += 5
        raise ValueError("no frame")

    watch = Stopwatch(lambda: now)
    for _ in range(2):
        with pytest.raises(ValueError, match="no frame"):
            watch.wrap("detect", fail)()
    watch.wrap("rest", lambda: None)()
    assert watch.seconds == {"detect": 10, "rest": 0}
