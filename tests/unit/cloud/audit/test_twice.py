"""Marks show numbers that an outbox gave twice, because it went back in time."""

import pytest

from face_app.cloud.audit.spans import Span
from face_app.cloud.audit.table import table
from support.audits import Face, Folder, audited, ledger_of


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def entries(first, last, life=0):
    return [Face(number, life=life).entry("waiting") for number in range(first, last + 1)]


def test_marks_of_an_honest_outbox(folder):
    folder.put_mark(a1=(1, 4), b2=(5, 8))
    report, outbox = audited(folder, [ledger_of(entries(1, 8), 8, a1=1, b2=5)])
    assert (outbox.mark, outbox.given_twice, outbox.unseen_from) == (8, (), (5, 9))
    assert report.proven


def test_an_outbox_that_went_back_in_time(folder):
    """It was at 10, came back at 6, and gave 7 and 8 again."""
    folder.put_mark(a1=(1, 10))
    report, outbox = audited(folder, [ledger_of(entries(1, 8), 8, a1=1, b2=7)])
    assert outbox.given_twice == (Span(7, 10),)
    assert report.faults == {"given twice": 4}
    assert "given twice (jetson, outbox 0badcafe), by number:\n  7-10\n" in table(report)


def test_an_opening_that_the_outbox_forgot(folder):
    folder.put_mark(a1=(1, 4), b2=(5, 8))
    assert audited(folder, [ledger_of(entries(1, 9), 9, a1=1, c3=5)])[1].given_twice == (Span(5, 8),)


def test_a_restored_outbox_that_was_not_opened_since(folder):
    """Its ledger seems to be older than the mark; a number that is in the bucket is no loss."""
    folder.put_mark(a1=(1, 10))
    folder.put_faces(Face(7), Face(8))
    report, outbox = audited(folder, [ledger_of(entries(1, 6), 6, a1=1)])
    assert outbox.given_twice == ()
    assert [each.numbers for each in outbox.unproven] == [Span(9, 10)]
    assert report.balanced
    assert not report.proven
    folder.put_faces(Face(9), Face(10))
    assert audited(folder, [ledger_of(entries(1, 6), 6, a1=1)])[0].proven


def test_an_opening_after_the_ledger_was_written(folder):
    folder.put_mark(a1=(1, 4), b2=(5, 6))
    folder.put_faces(Face(5), Face(6))
    assert audited(folder, [ledger_of(entries(1, 4), 4, a1=1)])[0].proven


def test_an_opening_that_left_the_ledger_with_its_faces(folder):
    folder.put_mark(a1=(1, 4), b2=(5, 8))
    folder.put_faces(*map(Face, range(1, 5)))
    since = Face(5).captured_at
    report, outbox = audited(folder, [ledger_of(entries(5, 8), 8, complete_since=since, b2=5)])
    assert (outbox.given_twice, outbox.stored) == ((), 4)
    assert report.proven


def test_numbers_given_twice_long_ago(folder):
    """The ledger has pruned all of them and the openings; the marks alone contradict each other."""
    folder.put_mark(a1=(1, 10), b2=(7, 12), c3=(13, 14))
    folder.put_faces(*map(Face, range(1, 13)))
    since = Face(13).captured_at
    report, outbox = audited(folder, [ledger_of(entries(13, 14), 14, complete_since=since, c3=13)])
    assert outbox.given_twice == (Span(7, 10),)
    assert not report.balanced


def test_an_opening_that_committed_nothing(folder):
    folder.put_mark(a1=(1, 4), b2=(5, 4), c3=(5, 6))
    report, outbox = audited(folder, [ledger_of(entries(1, 6), 6, a1=1, c3=5)])
    assert outbox.given_twice == ()
    assert report.proven


def test_a_ledger_of_an_earlier_version(folder):
    """It has no openings. Numbers after its last one are unknown, and so is a restored copy."""
    folder.put_mark(a1=(1, 6))
    report, outbox = audited(folder, [ledger_of(entries(1, 4), 4)])
    assert outbox.unproven[0].numbers == Span(5, 6)
    assert not report.proven
    report, _ = audited(folder, [ledger_of(entries(1, 6), 6)])
    assert report.balanced
    assert "no openings" in report.unproven[0]


def test_two_ledgers_before_and_after_a_restored_copy(folder):
    folder.put_mark(a1=(1, 10), b2=(7, 8))
    before, after = ledger_of(entries(1, 10), 10, a1=1), ledger_of(entries(1, 6) + entries(7, 8, 1), 8, a1=1, b2=7)
    report, outbox = audited(folder, [before, after])
    assert outbox.given_twice == (Span(7, 10),)
    assert not report.balanced


def test_what_no_mark_has_seen_is_named(folder):
    """The cloud knew 10 of the first opening, and all of the second. Each may have given more before a restoration."""
    folder.put_mark(a1=(1, 10), b2=(13, 14), c3=(15, 16))
    ledger = ledger_of(entries(1, 16), 16, a1=1, b2=13, c3=15)
    report, outbox = audited(folder, [ledger])
    assert (outbox.unseen_from, report.proven) == ((11, 15, 17), True)
    assert any(each.endswith("or later ones: jetson 0badcafe 11, 15, 17") for each in report.not_judged)


def test_without_a_mark_no_number_is_known(folder):
    report, outbox = audited(folder, [ledger_of(entries(1, 4), 4, a1=1, b2=3)])
    assert (outbox.unseen_from, report.proven) == ((1,), True)


def test_many_openings_are_shown_in_part(folder):
    openings = {f"{number:02x}": number for number in range(1, 41)}
    report, outbox = audited(folder, [ledger_of(entries(1, 40), 40, **openings)])
    assert outbox.unseen_from == tuple(range(1, 40))
    assert any(each.endswith("39 and 19 earlier ones") for each in report.not_judged)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b'{"version": 2, "openings": {}}', b'{"version": 1, "openings": {"x": [1, 2]}}']
)
def test_an_object_that_is_no_mark(folder, data):
    folder.put("marks/jetson/0badcafe/subscriber-1.json", data)
    report, _ = audited(folder, [ledger_of(entries(1, 4), 4, a1=1)])
    assert report.balanced
    assert not report.proven
    assert "marks/jetson/0badcafe/subscriber-1.json is not a mark" in report.unproven[0]


def test_an_object_that_is_no_mark_is_named_even_if_nothing_else_is_found(folder):
    folder.put("marks/jetson/0badcafe/subscriber-1.json", b"[]")
    report, _ = audited(folder, [])
    assert report.edges == ()
    assert "marks/jetson/0badcafe/subscriber-1.json is not a mark" in report.unproven[-1]


def test_marks_of_several_subscribers_are_one(folder):
    folder.put_mark(a1=(1, 4))
    folder.put("marks/jetson/0badcafe/subscriber-2.json", b'{"version":1,"openings":{"a100000000000000":[1,6]}}')
    report, outbox = audited(folder, [ledger_of(entries(1, 4), 4, a1=1)])
    assert (outbox.mark, [each.numbers for each in outbox.unproven]) == (6, [Span(5, 6)])
    assert report.foreign == ()
