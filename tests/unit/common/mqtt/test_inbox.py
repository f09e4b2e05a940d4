"""A flood in one lane neither fills the memory nor delays the other lanes."""

import threading

from face_app.common.mqtt import Inbox
from face_app.common.mqtt.inbox import LANE_BYTES, LANE_MESSAGES, MOST_BYTES, OVERHEAD_BYTES

MEGABYTE = 2**20


def rest(inbox):
    inbox.close()
    return list(iter(inbox.get, None))


def test_lanes_take_turns_each_in_its_order():
    inbox = Inbox()
    for name in ("a1", "a2", "a3", "b1", "b2", "c1"):
        assert inbox.put(name[0], name, name, 0)
    assert rest(inbox) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_the_newest_of_a_key_takes_the_place_of_the_older_one():
    inbox = Inbox()
    for item in range(100_000):
        assert inbox.put("hostile", "door", item, 1000)
    inbox.put("hostile", "gate", "other", 1000)
    inbox.put("hostile", "door", "newest", 10)
    assert inbox.bytes == 1010 + 2 * OVERHEAD_BYTES
    assert rest(inbox) == ["newest", "other"]
    assert inbox.bytes == 0


def test_a_lane_is_bounded_by_number():
    inbox = Inbox()
    assert sum(inbox.put("hostile", number, number, 0) for number in range(1000)) == LANE_MESSAGES
    assert inbox.put("honest", 1, "honest", 0)
    assert inbox.put("hostile", 0, "newer", 0), "its key has a place"
    assert inbox.get() == "newer"
    assert inbox.put("hostile", 999, 999, 0)


def test_a_lane_is_bounded_by_bytes():
    inbox = Inbox()
    assert sum(inbox.put("hostile", number, b"", MEGABYTE) for number in range(100)) == LANE_BYTES // MEGABYTE - 1
    assert not inbox.put("honest", 0, b"", LANE_BYTES)


def test_many_full_lanes_leave_room_for_another_one():
    inbox = Inbox()
    for lane in range(100):
        for number in range(100):
            inbox.put(f"hostile-{lane}", number, b"", 100_000)
    assert inbox.bytes <= MOST_BYTES
    assert inbox.put("honest", 1, "honest", 20_000)


def test_get_waits_for_a_message_and_ends_after_close():
    inbox, came = Inbox(), []
    reader = threading.Thread(target=lambda: came.extend(iter(inbox.get, None)))
    reader.start()
    inbox.put("a", 1, "first", 0)
    inbox.put("a", 2, "second", 0)
    inbox.close()
    reader.join(60)
    assert came == ["first", "second"]
    assert not inbox.put("a", 3, "third", 0)
