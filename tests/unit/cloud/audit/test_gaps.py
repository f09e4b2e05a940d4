"""A number with neither entry nor object is missing, explained, or named as unproven."""

from datetime import datetime, timedelta, timezone

import pytest

from face_app.cloud.audit.scope import Scope
from face_app.cloud.audit.spans import Span
from face_app.cloud.audit.table import table
from face_app.cloud.bucket import operations
from face_app.common.ledger_file import EdgeLedger
from face_app.common.settings import Bucket
from support.audits import BEGAN, Face, Folder, audited, ledger_of

NOW = datetime.now(timezone.utc)
DAY = timedelta(days=1)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def aged(number, days):
    """A face of some days ago."""
    return Face(number, began=NOW - days * DAY - timedelta(minutes=6) * number)


def test_a_face_older_than_the_rule_is_not_missing(folder):
    """Without the rule it is: the bucket must have it for ever."""
    old, young = aged(1, 8), aged(2, 6)
    folder.put_faces(young)

    def ledger():
        return ledger_of([old.entry(), young.entry()], 2)

    assert audited(folder, [ledger()])[0].faults == {"missing": 1}
    report, outbox = audited(folder, [ledger()], days=7)
    assert (outbox.captured, outbox.stored, outbox.deleted_by_rule, outbox.missing) == (2, 1, 1, ())
    assert report.proven
    assert any("older than the bucket's rule" in sentence for sentence in report.not_judged)
    assert "deleted by rule" in table(report)
    folder.remove(young.key)
    report, outbox = audited(folder, [ledger()], days=7)
    assert (outbox.deleted_by_rule, outbox.missing) == (1, (Span(2, 2),))


def test_the_rule_counts_from_the_upload(folder):
    """A face that waited for days is deleted days later: until then it may not be missing."""
    face = aged(1, 8)
    late = face.entry(settled_at=NOW - 2 * DAY)
    assert audited(folder, [ledger_of([late], 1)], days=7)[1].missing == (Span(1, 1),)
    assert audited(folder, [ledger_of([face.entry(settled_at=NOW - 7.5 * DAY)], 1)], days=7)[1].deleted_by_rule == 1


@pytest.mark.parametrize("state", ["waiting", "refused", "expired", "erased"])
def test_a_face_that_had_no_object_is_not_deleted_by_the_rule(folder, state):
    report, outbox = audited(folder, [ledger_of([aged(1, 80).entry(state)], 1)], days=7)
    assert (outbox.deleted_by_rule, outbox.missing) == (0, ())
    assert report.proven


def test_a_pruned_face_is_dated_by_the_next_one(folder):
    """Faces 1 to 3 have left the ledger, 4 is older than the rule, 5 is not."""
    entries = [aged(4, 40).entry(), aged(5, 1).entry()]
    folder.put_faces(aged(5, 1))
    report, outbox = audited(folder, [ledger_of(entries, 5, complete_since=NOW - 41 * DAY)], days=30)
    assert (outbox.captured, outbox.stored, outbox.deleted_by_rule, outbox.missing) == (5, 1, 4, ())
    assert report.proven


def test_a_pruned_face_that_the_ledger_no_longer_dates(folder):
    """Faces 1 to 3 are gone from both; the next one is young. They may have been deleted, or lost."""
    folder.put_faces(aged(4, 1))
    for days in (7, 30):
        ledger = ledger_of([aged(4, 1).entry()], 4, complete_since=NOW - 20 * DAY)
        report, outbox = audited(folder, [ledger], days=days)
        assert (outbox.missing, outbox.unproven_count, outbox.captured) == ((), 3, 4)
        assert report.balanced
        assert not report.proven
        assert "1-3: the bucket's rule may have deleted them" in str(outbox.unproven[0])


def test_a_lost_row_between_young_faces_is_missing(folder):
    young = [aged(1, 3), aged(3, 1)]
    folder.put_faces(*young)
    report, outbox = audited(folder, [ledger_of([face.entry() for face in young], 4)], days=30)
    assert outbox.missing == (Span(2, 2), Span(4, 4))
    assert report.faults == {"missing": 2}


def test_without_a_ledger_the_rule_explains_no_gap(folder):
    folder.put_faces(aged(3, 1))
    report, outbox = audited(folder, [], days=7)
    assert outbox.gaps == (Span(1, 2),)
    assert not report.proven


def test_a_folder_has_no_rule_but_the_setting(folder):
    assert operations.expiry_rules(folder.settings).days("jetson/") is None
    rules = operations.expiry_rules(folder.settings, Bucket(expire_days=7))
    assert (rules.days("jetson/"), rules.unknown) == (7, "a folder has none")
    report, _ = audited(folder, [ledger_of([], 0)], days=7)
    assert "the bucket's expiry rules (a folder has none): bucket.expire_days = 7 counts" in report.not_judged


def test_expired_faces_that_the_edge_pruned(folder):
    folder.put_faces(Face(1), Face(9))
    pruned = {"0badcafe": [(2, 4, "drop-oldest"), (6, 7, "damaged")]}

    def ledger():
        return EdgeLedger("jetson", {"0badcafe": 9}, BEGAN, iter([Face(9).entry()]), {}, pruned)

    report, outbox = audited(folder, [ledger()])
    assert (outbox.expired, outbox.missing) == ({"drop-oldest": 3, "damaged": 2}, (Span(5, 5), Span(8, 8)))
    assert outbox.captured == 9
    assert report.faults["missing"] == 2
    folder.put_faces(Face(3))  # it was sent before it expired
    _, outbox = audited(folder, [ledger()])
    assert (outbox.stored, outbox.expired["drop-oldest"], outbox.captured) == (3, 2, 9)


def test_a_huge_pruned_span_costs_no_time(folder):
    ledger = EdgeLedger("jetson", {"0badcafe": 10**15}, BEGAN, [], {}, {"0badcafe": [(2, 10**15, "damaged")]})
    assert audited(folder, [ledger])[1].missing == (Span(1, 1),)


def test_a_gap_at_the_edge_of_the_range_is_named(folder):
    """Face 3 is nowhere. It may have been captured before 4, in the range, or after 2, before the range."""
    for face in map(Face, (1, 2, 4, 5)):
        folder.put_faces(face)

    def ledger():
        return ledger_of([Face(number).entry() for number in (1, 2, 4, 5)], 5)

    edge = Face(3).captured_at
    for scope in (Scope(since=edge), Scope(until=edge), Scope(since=edge, until=edge + timedelta(seconds=1))):
        report, outbox = audited(folder, [ledger()], scope)
        assert (outbox.missing, outbox.unproven[0].numbers) == ((), Span(3, 3))
        assert not report.proven
    report, outbox = audited(folder, [ledger()], Scope(since=Face(4).captured_at + timedelta(seconds=1)))
    assert (outbox.outside, report.proven) == (1, True)
    assert any("1 missing faces outside the time range" in sentence for sentence in report.not_judged)


def test_the_newest_number_in_an_open_range(folder):
    folder.put_faces(Face(1))
    ledger = ledger_of([Face(1).entry()], 2)
    assert audited(folder, [ledger], Scope(since=BEGAN))[1].missing == (Span(2, 2),)
    ledger = ledger_of([Face(1).entry()], 2)
    report, _ = audited(folder, [ledger], Scope(until=Face(2).captured_at))
    assert not report.proven


def test_a_truncated_ledger(folder):
    """The export was cut: its first line names more faces than follow."""
    folder.put_faces(*map(Face, range(1, 11)))
    report, outbox = audited(folder, [ledger_of([Face(1).entry()], 10)])
    assert len(outbox.unknown) == 9
    assert not report.balanced
