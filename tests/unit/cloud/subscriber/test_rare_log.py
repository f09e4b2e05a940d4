"""A peer that causes warnings does not fill the log."""

import logging

from face_app.cloud.subscriber.rare_log import MAX_KINDS, SECONDS, RareLog


def test_one_line_a_minute_of_each_kind(caplog):
    now = 0.0
    rare = RareLog(logging.getLogger("test"), clock=lambda: now)
    for number in range(3):
        rare.warning("a", "refused %d", number)
    rare.warning("b", "other")
    now = SECONDS
    rare.warning("a", "refused %d", 9)
    assert caplog.messages == ["refused 0", "other", "refused 9 (2 more of this kind since the last line)"]


def test_the_kinds_in_memory_are_limited():
    rare = RareLog(logging.getLogger("test"))
    for number in range(2 * MAX_KINDS):
        rare.warning(str(number), "x")
    assert len(rare._kinds) <= MAX_KINDS
