"""A copy is either answered from memory or left to the one who stores it."""

from datetime import datetime, timezone

from face_app.cloud.subscriber.deduplicator import Claim, Identity, Ledger, Processed
from face_app.common.wire import Receipt

SETTLED = Processed("jetson", Receipt(None, "0" * 64, "key", datetime.now(timezone.utc), "stored"))


def identity(number):
    return Identity("face_app/jetson/door", f"{number:064x}")


def test_first_stores_second_joins_third_is_answered():
    ledger = Ledger()
    assert ledger.claim(identity(1), "first") is Claim.GRANTED
    assert ledger.claim(identity(1), "second") is Claim.JOINED
    assert ledger.claim(identity(2), "another") is Claim.GRANTED
    assert ledger.settle(identity(1), SETTLED) == ["second"]
    assert ledger.claim(identity(1), "third") == SETTLED


def test_a_claim_that_is_given_up_is_free_again():
    ledger = Ledger()
    ledger.claim(identity(1), "first")
    ledger.claim(identity(1), "second")
    assert ledger.give_up(identity(1)) == ["second"]
    assert ledger.claim(identity(1), "third") is Claim.GRANTED


def test_the_one_not_asked_for_longest_is_forgotten():
    ledger = Ledger(remembered=2)
    for number in (1, 2):
        ledger.claim(identity(number), "")
        ledger.settle(identity(number), SETTLED)
    assert ledger.claim(identity(1), "") == SETTLED
    ledger.claim(identity(3), "")
    ledger.settle(identity(3), SETTLED)
    assert ledger.claim(identity(1), "") == SETTLED
    assert ledger.claim(identity(2), "") is Claim.GRANTED
