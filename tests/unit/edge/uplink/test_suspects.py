"""Losses after a lone publish set a face aside; losses by chance set none aside."""

import pytest

from face_app.edge.uplink.suspects import (
    ASIDE_PAUSE,
    MAX_ASIDE_PAUSE,
    MOMENTS,
    PROVEN,
    SUSPECTS,
    TRIAL_SECONDS,
    Suspects,
)


def trial(suspects, now):
    """Start the next trial; return its row."""
    row, others_wait = suspects.due(now, idle=True)
    if row is not None:
        assert others_wait
        suspects.started(row, now)
    return row


def fail(suspects, row, now, size=9):
    for _ in range(PROVEN):
        now += 20
        assert trial(suspects, now) == row
        aside = suspects.connection_lost({row: size}, now + 1)
    assert aside == row
    return now + 1


def test_the_smallest_suspect_goes_first_and_others_wait_for_its_answer():
    suspects = Suspects()
    suspects.connection_lost({1: 30, 2: 10, 3: 20}, 0.0)
    assert suspects.rows == {1, 2, 3}
    assert suspects.due(0.0, idle=False) == (None, True)
    for row, size in ((2, 10), (3, 20), (1, 30)):
        assert trial(suspects, 1.0) == row
        assert suspects.due(1.0, idle=True) == (None, True)
        suspects.acknowledged(row, size)
    assert (suspects.rows, suspects.due(1.0, idle=True)) == (set(), (None, False))


def test_only_the_first_of_a_long_queue_are_suspects():
    suspects = Suspects()
    suspects.connection_lost(dict.fromkeys(range(100), 5), 0.0)
    assert suspects.rows == set(range(SUSPECTS))


def test_a_proven_face_takes_larger_ones_with_it():
    suspects = Suspects()
    suspects.acknowledged(7, 8)
    suspects.connection_lost({1: 9, 2: 12}, 0.0)
    now = fail(suspects, 1, 0.0)
    assert suspects.aside == {1: 9, 2: 12}
    assert (suspects.withholds(3, 9), suspects.withholds(4, 8)) == (True, False)
    assert suspects.due(now, idle=True) == (None, False)
    assert suspects.due(now + ASIDE_PAUSE, idle=True)[0] == 1


def test_a_larger_face_waits_for_the_verdict():
    suspects = Suspects()
    suspects.connection_lost({1: 9}, 0.0)
    assert trial(suspects, 0.0) == 1
    suspects.connection_lost({1: 9}, 1.0)
    assert (suspects.withholds(2, 8), suspects.withholds(3, 10)) == (False, True)
    assert trial(suspects, 1.5) is None
    assert trial(suspects, 9.0) == 1
    suspects.acknowledged(1, 9)
    assert trial(suspects, 9.0) == 3


def test_no_larger_face_is_aside_once_one_has_passed():
    suspects = Suspects()
    suspects.acknowledged(7, 100)
    suspects.connection_lost({1: 9}, 0.0)
    fail(suspects, 1, 0.0)
    assert suspects.aside == {1: 9}
    assert not suspects.withholds(2, 50)


def test_a_face_that_disproves_the_limit_releases_the_others():
    suspects = Suspects()
    suspects.connection_lost({1: 9}, 0.0)
    now = fail(suspects, 1, 0.0)
    assert suspects.withholds(2, 10)
    suspects.acknowledged(3, 11)
    assert (suspects.aside, suspects.rows) == ({}, {1, 2})
    assert trial(suspects, now) == 1


def test_attempts_with_faces_aside_take_turns_and_become_rare():
    suspects = Suspects()
    suspects.connection_lost({1: 9}, 0.0)
    now = fail(suspects, 1, 0.0)
    suspects.withholds(2, 10)
    pauses, rows = [], []
    for _ in range(9):
        before = now
        while (row := trial(suspects, now)) is None:
            now += 1
        rows.append(row)
        pauses.append(now - before)
        suspects.connection_lost({row: suspects.aside[row]}, now)
    assert rows == [1, 2] * 4 + [1]
    assert pauses == sorted(pauses)
    assert pauses[0] <= ASIDE_PAUSE
    assert pauses[-1] == MAX_ASIDE_PAUSE


@pytest.mark.parametrize("delay", [MOMENTS + 1, 1.0])
def test_losses_of_the_network_itself_prove_nothing(delay):
    """A loss long after the publish is no strike; a loss without a publish cancels all strikes."""
    suspects = Suspects()
    suspects.connection_lost({1: 9}, 0.0)
    now = 0.0
    for _ in range(3 * PROVEN):
        now += 100
        assert trial(suspects, now) == 1
        assert suspects.connection_lost({1: 9}, now + delay) is None
        suspects.connection_lost({}, now + delay + 1)
    assert suspects.aside == {}


def test_a_broker_that_does_not_answer_blocks_others_for_a_limited_time():
    suspects = Suspects()
    suspects.connection_lost({1: 9}, 0.0)
    assert suspects.due(1.0, idle=False) == (None, True)
    assert suspects.due(1.0 + TRIAL_SECONDS, idle=False) == (1, True)
    suspects.started(1, 40.0)
    assert suspects.due(41.0, idle=False) == (None, True)
    assert suspects.due(40.0 + TRIAL_SECONDS, idle=False) == (None, False)
    assert suspects.due(40.0 + 2 * TRIAL_SECONDS, idle=True)[0] == 1


def test_a_face_that_no_longer_waits_is_forgotten():
    suspects = Suspects()
    suspects.connection_lost({1: 9, 2: 9}, 0.0)
    suspects.too_large(3, 50, 0.0)
    assert trial(suspects, 0.0) == 1
    for row in (1, 2, 3):
        suspects.discard(row)
    assert (suspects.rows, suspects.aside, suspects.due(10**6, idle=True)) == (set(), {}, (None, False))
