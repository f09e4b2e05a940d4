"""Edges take turns, and none uses all workers."""

import threading
from functools import partial

import pytest

from face_app.cloud.subscriber.turns import Turns, share
from support.waiting import until


def taken(turns, count):
    return [turns.get() for _ in range(count)]


@pytest.mark.parametrize(
    ("total", "edges", "each"),
    [(32, 1, 24), (32, 2, 12), (32, 100, 1), (4, 1, 3), (1, 1, 1), (1, 9, 1), (2, 1, 1), (6, 1, 4)],
)
def test_a_share_leaves_room_for_one_more(total, edges, each):
    assert share(total, edges) == each


def test_edges_take_turns_each_in_its_order():
    turns = Turns(workers=100)
    for edge, item in ["a1", "a2", "a3", "b1", "b2", "c1"]:
        turns.put(edge, item)
    assert taken(turns, 6) == [("a", "1"), ("b", "1"), ("c", "1"), ("a", "2"), ("b", "2"), ("a", "3")]


def test_the_first_item_of_another_edge_finds_a_free_worker():
    turns = Turns(workers=8)
    for number in range(100):
        turns.put("heavy", number)
    assert [edge for edge, _ in taken(turns, 6)] == ["heavy"] * 6
    came = []
    waiting = threading.Thread(target=lambda: came.append(turns.get()))
    waiting.start()
    turns.put("light", 1)
    waiting.join(60)
    assert came == [("light", 1)]


def test_a_finished_item_makes_room_for_the_next_one():
    turns = Turns(workers=1)
    turns.put("a", 1)
    turns.put("a", 2)
    assert turns.get() == ("a", 1)
    came = []
    waiting = threading.Thread(target=lambda: came.append(turns.get()))
    waiting.start()
    turns.done("a")
    waiting.join(60)
    assert came == [("a", 2)]


def test_all_idle_workers_wake_when_one_change_makes_room_for_all():
    turns = Turns(workers=8)
    for edge in "ab":
        for number in range(9):
            turns.put(edge, number)
    assert [edge for edge, _ in taken(turns, 6)] == ["a", "b"] * 3
    turns.drop(lambda _: True)
    for number in range(9):
        turns.put("a", number)
    came = []
    waiting = [threading.Thread(target=lambda: came.append(turns.get())) for _ in range(3)]
    for thread in waiting:
        thread.start()
    while len(turns._changed._waiters) < 3:
        waiting[0].join(0.01)
    for _ in range(3):
        assert came == []
        turns.done("b")
    for thread in waiting:
        thread.join(60)
    assert sorted(came) == [("a", 0), ("a", 1), ("a", 2)]


def test_the_newest_items_are_dropped():
    turns = Turns(workers=8)
    for number in range(5):
        turns.put("a", number)
    turns.put("b", 0)
    assert turns.drop_newest("a", 2, lambda _: True) == [4, 3]
    assert turns.drop_newest("unknown", 2, lambda _: True) == []
    assert len(turns) == 4
    assert turns.drop_newest("a", 9, lambda _: True) == [2, 1, 0]
    assert turns.get() == ("b", 0)


def test_close_ends_every_wait_and_returns_what_waits():
    turns = Turns(workers=8)
    came = []
    waiting = [threading.Thread(target=lambda: came.append(turns.get())) for _ in range(3)]
    for thread in waiting:
        thread.start()
    turns.close()
    for thread in waiting:
        thread.join(60)
    assert came == [None] * 3
    assert not turns.put("a", 1)
    assert turns.close() == []


def test_slow_edges_share_a_quarter_of_the_workers():
    slow = {f"slow-{number}" for number in range(8)}
    turns = Turns(workers=8, slow=slow)
    for edge in sorted(slow):
        turns.put(edge, 1)
    turns.put("honest", 1)
    assert [edge for edge, _ in taken(turns, 3)] == ["slow-0", "slow-1", "honest"]
    came = []
    waiting = threading.Thread(target=lambda: came.append(turns.get()))
    waiting.start()
    turns.done("honest")
    turns.put("honest", 2)
    waiting.join(60)
    assert came == [("honest", 2)]
    turns.done("slow-0")
    assert turns.get() == ("slow-2", 1)


def test_an_edge_that_is_no_longer_slow_has_its_share_again():
    slow = {"a"}
    turns = Turns(workers=8, slow=slow)
    for number in range(4):
        turns.put("a", number)
    assert len(taken(turns, 2)) == 2
    slow.clear()
    assert len(taken(turns, 2)) == 2


def test_many_threads_lose_nothing():
    turns, came = Turns(workers=6), []

    def work():
        while turn := turns.get():
            came.append(turn)
            turns.done(turn[0])

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    expected = {(f"edge-{number % 7}", number) for number in range(2000)}
    for edge, number in expected:
        turns.put(edge, number)
    while len(came) < len(expected):
        assert any(thread.is_alive() for thread in threads)
        threads[0].join(0.01)
    turns.close()
    for thread in threads:
        thread.join(60)
    assert len(came) == len(expected)
    assert set(came) == expected


@pytest.mark.parametrize("method", ["drop", "drop_newest"])
def test_a_drop_that_raises_the_shares_wakes_a_worker(method):
    turns, came = Turns(workers=8, slow={"slow", "slower"}), []
    for edge in ("slow", "slow", "slower", "a", "a", "a"):
        turns.put(edge, edge)
        if edge == "slow":
            turns.get()
    assert taken(turns, 2) == [("a", "a")] * 2
    waiting = threading.Thread(target=lambda: came.append(turns.get()), daemon=True)
    waiting.start()
    until(lambda: turns._changed._waiters)
    drop = {"drop": turns.drop, "drop_newest": partial(turns.drop_newest, "slower", 1)}[method]
    drop(lambda item: item == "slower")
    waiting.join(30)
    assert came == [("a", "a")]
