"""The bench of a fleet runs as a whole with a few edges: nothing in it is measured that did not happen."""

import argparse

import pytest

from bench.fleet.__main__ import HEADER, measure, row
from support.seaweedfs import seaweedfs


@pytest.mark.full
def test_three_edges():
    options = argparse.Namespace(subscribers=2, rate=30, faces=9, rounds=2, kills=1)
    with seaweedfs() as server:
        result = measure(3, options, server)
    # Two rounds of nine faces, one of the simulator's process after the death of the broker, and at most a mark of each
    # edge and subscriber.
    assert 19 <= result.keys <= 25
    assert result.connect > 0
    assert result.broker_kb > 0
    assert result.cpu_ms.keys() == {"subscribers", "broker", "store"}
    assert all(ms > 0 for part in ("subscribers", "store") for ms in result.cpu_ms[part])  # the broker's may be no tick
    assert all(0 < p50 <= p99 for p50, p99 in result.delays_ms)
    assert len(result.states) == 2
    assert 0 < result.back[0] < result.resumed[0]
    assert row(result).count("|") == HEADER.count("|")
