"""An edge fills neither the memory nor the window, and a large message passes nevertheless."""

import itertools
import math

import pytest

from face_app.cloud.subscriber.shares import BUDGET_BYTES, OVERHEAD_BYTES, PATIENCE_SECONDS, Shares

MEGABYTE = 2**20
PAYLOAD = MEGABYTE - OVERHEAD_BYTES
"""Bytes of a message that needs one megabyte of memory."""


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
        itertools.takewhile(lambda place: place is not None, (shares.enter("a", PAYLOAD) for _ in range(99)))
    )
    assert shares.bytes == len(entered) * MEGABYTE == BUDGET_BYTES * 3 // 4
    assert shares.enter("b", PAYLOAD) is not None
    for place in entered:
        shares.leave("a", place)
    assert shares.bytes == MEGABYTE
    assert shares.enter("a", PAYLOAD) is not None


def test_the_bytes_of_many_edges_are_bounded(clock):
    shares = Shares(200, clock)
    for number in range(30):
        for _ in range(30):
            shares.enter(f"edge-{number}", PAYLOAD)
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


def test_empty_messages_at_qos_0_are_bounded_by_number(clock):
    shares = Shares(200, clock)
    places = [shares.enter("a", 0, qos=0) for _ in range(1000)]
    assert sum(place is not None for place in places) == 150
    for number in range(1000):
        shares.enter(f"edge-{number}", 0, qos=0)
    assert shares.bytes == 200 * OVERHEAD_BYTES
    shares.leave("a", places[0])
    assert shares.enter("b", 0, qos=0) is not None
    assert shares.enter("c", 0, qos=0) is None


def test_large_messages_at_qos_0_are_bounded_also_with_invented_edges(clock):
    shares = Shares(10_000, clock)
    for number in range(1000):
        shares.enter(f"edge-{number}", PAYLOAD, qos=0)
    assert shares.bytes <= BUDGET_BYTES


def test_messages_at_qos_0_take_no_place_of_those_at_qos_1(clock):
    shares = Shares(200, clock)
    outside = [shares.enter("hostile", 0, qos=0) for _ in range(150)]
    for _ in range(170):
        assert shares.enter("honest", 1) is not None
    clock.now = 100
    assert shares.excess("honest", 0) == 0, "the broker counts no message at QoS 0"
    assert shares.excess("hostile", 0) == 0
    assert shares.enter("hostile", BUDGET_BYTES, qos=1) is not None, "the first at QoS 1 is always accepted"
    for place in outside:
        shares.leave("hostile", place)
    assert shares.bytes == 170 * (1 + OVERHEAD_BYTES) + BUDGET_BYTES + OVERHEAD_BYTES
