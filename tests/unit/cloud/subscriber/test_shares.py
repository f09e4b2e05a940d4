"""An edge fills neither the memory nor the window, and a large message passes nevertheless."""

import itertools
import math

import pytest

from face_app.cloud.subscriber.shares import BUDGET_BYTES, PATIENCE_SECONDS, Shares

MEGABYTE = 2**20


@pytest.fixture
def clock():
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    return Clock()


def test_one_edge_leaves_a_quarter_of_the_bytes_to_others(clock):
    shares = Shares(200, clock)
    entered = list(
        itertools.takewhile(lambda place: place is not None, (shares.enter("a", MEGABYTE) for _ in range(99)))
    )
    assert shares.bytes == len(entered) * MEGABYTE == BUDGET_BYTES * 3 // 4
    assert shares.enter("b", MEGABYTE) is not None
    for place in entered:
        shares.leave("a", place)
    assert shares.bytes == MEGABYTE
    assert shares.enter("a", MEGABYTE) is not None


def test_the_bytes_of_many_edges_are_bounded(clock):
    shares = Shares(200, clock)
    for number in range(30):
        for _ in range(30):
            shares.enter(f"edge-{number}", MEGABYTE)
    assert shares.bytes <= BUDGET_BYTES + 30 * MEGABYTE


def test_the_first_message_of_an_edge_is_always_accepted(clock):
    shares = Shares(200, clock)
    place = shares.enter("a", 10 * BUDGET_BYTES)
    assert place is not None
    assert shares.enter("a", 1) is None
    assert shares.enter("b", 1) is not None
    shares.leave("a", place)
    assert shares.enter("a", 1) is not None


def test_slow_messages_that_fill_the_window_are_in_excess(clock):
    shares = Shares(200, clock)
    for _ in range(190):
        shares.enter("a", 1)
    assert shares.excess("a", 0) == 0, "they may be fast"
    clock.now = PATIENCE_SECONDS + 0.1
    assert shares.excess("a", 0) == 40
    assert shares.excess("a", clock.now) == 0, "the store did not work"
    assert shares.excess("a", math.inf) == 0, "the store does not work"
    shares.enter("b", 1)
    assert shares.excess("a", 0) == 190 - 75
    assert shares.excess("b", 0) == 0
    assert shares.excess("unknown", 0) == 0


def test_slow_messages_in_a_window_with_places_wait(clock):
    shares = Shares(200, clock)
    for _ in range(174):
        shares.enter("a", 1)
    clock.now = 100
    assert shares.excess("a", 0) == 0


@pytest.mark.parametrize("places", [1, 2, 3])
def test_a_small_window_is_no_excess_of_its_only_message(clock, places):
    shares = Shares(places, clock)
    shares.enter("a", 1)
    clock.now = 100
    assert shares.excess("a", 0) == 0
