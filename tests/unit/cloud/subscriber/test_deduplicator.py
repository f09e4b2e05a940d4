"""A copy is either answered from memory or left to the one who stores it."""

from datetime import datetime, timezone

from face_app.cloud.subscriber.deduplicator import RESULT_SECONDS, Claim, Deduplicator, Identity, Processed
from face_app.common.wire import Receipt

RESULT = Processed("jetson", Receipt(None, "0" * 64, "key", datetime.now(timezone.utc), "stored"))


def identity(number):
    return Identity("face_app/jetson/door", f"{number:064x}")


def test_first_stores_second_joins_third_is_answered():
    deduplicator = Deduplicator()
    assert deduplicator.claim(identity(1), "first") is Claim.GRANTED
    assert deduplicator.claim(identity(1), "second") is Claim.JOINED
    assert deduplicator.claim(identity(2), "another") is Claim.GRANTED
    assert deduplicator.complete(identity(1), RESULT) == ["second"]
    assert deduplicator.claim(identity(1), "third") == RESULT


def test_a_claim_that_is_given_up_is_free_again():
    deduplicator = Deduplicator()
    deduplicator.claim(identity(1), "first")
    deduplicator.claim(identity(1), "second")
    assert deduplicator.abandon(identity(1)) == ["second"]
    assert deduplicator.claim(identity(1), "third") is Claim.GRANTED


def test_the_oldest_result_is_forgotten():
    deduplicator = Deduplicator(capacity=2)
    for number in (1, 2, 3):
        deduplicator.claim(identity(number), "")
        deduplicator.complete(identity(number), RESULT)
    assert deduplicator.claim(identity(3), "") == RESULT
    assert deduplicator.claim(identity(2), "") == RESULT
    assert deduplicator.claim(identity(1), "") is Claim.GRANTED


def test_a_result_is_remembered_for_seconds():
    """The object may be gone later; asking for it does not prolong the time."""
    now = 0.0
    deduplicator = Deduplicator(clock=lambda: now)
    deduplicator.claim(identity(1), "")
    deduplicator.complete(identity(1), RESULT)
    now = RESULT_SECONDS - 1
    assert deduplicator.claim(identity(1), "") == RESULT
    now = RESULT_SECONDS + 1
    assert deduplicator.claim(identity(1), "") is Claim.GRANTED
