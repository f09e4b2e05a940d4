"""An edge counts as slow for an hour."""

from face_app.cloud.subscriber.slow_edges import MAX_EDGES, SECONDS, SlowEdges


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_an_edge_is_slow_for_an_hour_after_its_last_slow_image():
    clock = Clock()
    slow = SlowEdges(clock)
    assert "a" not in slow
    slow.add("a")
    clock.now = SECONDS / 2
    slow.add("a")
    slow.add("b")
    clock.now = SECONDS * 5 / 4
    assert "a" in slow
    assert len(slow) == 2
    clock.now = 2 * SECONDS
    assert "a" not in slow
    assert not len(slow)


def test_the_memory_is_bounded():
    slow = SlowEdges()
    for number in range(2 * MAX_EDGES):
        slow.add(f"edge-{number}")
    assert len(slow) == MAX_EDGES
    assert f"edge-{2 * MAX_EDGES - 1}" in slow
