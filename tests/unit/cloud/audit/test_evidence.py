"""Each outbox is judged by the ledger, the objects and the marks of its own edge."""

from dataclasses import replace
from datetime import timedelta

import pytest

from face_app.cloud.audit.scope import Scope, scope_between
from face_app.cloud.audit.spans import Span
from face_app.common.errors import SettingsError
from face_app.common.ledger_file import EdgeLedger
from support.audits import BEGAN, EVERYTHING, Face, Folder, audited, ledger_of

MINE, THEIRS = "jetson", "intruder"


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def faces(*numbers, edge=MINE, life=0):
    return [Face(number, edge=edge, life=life) for number in numbers]


def by_edge(reports):
    return {report.edge: report for report in (reports if isinstance(reports, list) else [reports])}


def test_the_objects_of_another_edge_do_not_cover_a_lost_face(folder):
    folder.put_faces(*faces(1, 3), Face(2, edge=THEIRS))
    mine = [face.entry() for face in faces(1, 2, 3)]
    for ledgers in ([ledger_of(mine, 3)], [ledger_of(mine, 3), ledger_of([], 2, edge=THEIRS)]):
        report, found = audited(folder, ledgers)
        assert by_edge(found)[MINE].missing == (Span(2, 2),)
        assert not report.balanced
        ledgers[0] = ledger_of(mine, 3)
    # The ledger has pruned face 2: the number alone is known.
    pruned = ledger_of([Face(3).entry()], 3, complete_since=Face(3).captured_at)
    report, found = audited(folder, [pruned])
    assert by_edge(found)[MINE].unproven[0].numbers == Span(2, 2)
    assert not report.proven


def test_the_ledger_of_another_edge_does_not_cover_a_lost_face(folder):
    folder.put_faces(*faces(1, 3))
    lost = Face(2)
    mine = [Face(1).entry(), lost.entry(), Face(3).entry()]
    lies = [lost.entry("waiting"), replace(lost, edge=THEIRS).entry("expired", "drop-oldest")]
    for lie in lies:
        for order in (1, -1):
            ledgers = [ledger_of(mine, 3), ledger_of([lie], 3, edge=THEIRS)][::order]
            report, found = audited(folder, ledgers)
            assert by_edge(found)[MINE].missing == (Span(2, 2),)
            assert by_edge(found)[MINE].duplicates == ()
            assert not report.balanced
            mine_again = [Face(1).entry(), lost.entry(), Face(3).entry()]
            mine = mine_again
        # Without its own ledger, nothing is proven for the edge.
        report, found = audited(folder, [ledger_of([lie], 3, edge=THEIRS)])
        assert not by_edge(found)[MINE].has_ledger
        assert not report.balanced


def test_the_objects_of_another_edge_are_no_duplicates(folder):
    """A cloned card, or an edge that sends under the ids of another one."""
    folder.put_faces(*faces(1, 2), *faces(1, 2, edge=THEIRS, life=1))
    ledgers = [
        ledger_of([face.entry() for face in faces(1, 2)], 2),
        ledger_of([face.entry() for face in faces(1, 2, edge=THEIRS, life=1)], 2, edge=THEIRS),
    ]
    report, found = audited(folder, ledgers)
    assert {edge: (each.captured, each.stored, each.duplicates) for edge, each in by_edge(found).items()} == {
        MINE: (2, 2, ()),
        THEIRS: (2, 2, ()),
    }
    assert report.proven


def test_one_true_key_does_not_explain_the_gaps_of_another_edge(folder):
    """The intruder knows one link; its ledger claims that it was the other edge."""
    folder.put_faces(*faces(1, 2, 4))
    lie = [Face(1).entry(), Face(3).entry("waiting")]
    report, found = audited(folder, [ledger_of(lie, 4, edge=THEIRS)])
    assert by_edge(found)[MINE].gaps == (Span(3, 3),)
    assert not report.balanced
    folder.put_faces(Face(3))
    report, found = audited(folder, [ledger_of(lie, 4, edge=THEIRS)])
    assert not report.proven


def renamed(folder, *, pruned=0):
    """Faces 1 to 5 of "jetson-1", then 6 to 10 of "jetson"; all in one outbox."""
    all_faces = faces(*range(1, 6), edge="jetson-1") + faces(*range(6, 11))
    folder.put_faces(*all_faces)
    entries = [face.entry() for face in all_faces[pruned:]]
    since = all_faces[pruned].captured_at if pruned else None
    return lambda: ledger_of(entries, 10, complete_since=since, a1=1, b2=6)


def test_an_edge_that_was_renamed_is_one_edge(folder):
    ledger = renamed(folder)
    report, outbox = audited(folder, [ledger()])
    assert (outbox.edge, outbox.captured, outbox.stored) == (MINE, 10, 10)
    assert report.proven
    folder.remove(Face(4, edge="jetson-1").key)
    assert audited(folder, [ledger()])[1].missing == (Span(4, 4),)


def test_a_face_that_waits_under_the_former_name(folder):
    folder.put_faces(Face(1, edge="jetson-1"), Face(3))
    entries = [Face(1, edge="jetson-1").entry(), Face(2, edge="jetson-1").entry("waiting"), Face(3).entry()]
    report, outbox = audited(folder, [ledger_of(entries, 3)])
    assert (outbox.captured, outbox.stored, outbox.waiting) == (3, 2, 1)
    assert report.proven


def test_the_marks_of_the_former_name_belong_to_the_outbox(folder):
    ledger = renamed(folder, pruned=6)
    folder.put_mark("jetson-1", a1=(1, 5))
    folder.put_mark("jetson", b2=(6, 10))
    report, outbox = audited(folder, [ledger()])
    assert (outbox.mark, outbox.given_twice, outbox.stored) == (10, (), 10)
    assert report.proven


def test_a_rename_that_nothing_shows_is_given_by_the_operator(folder):
    ledger = renamed(folder, pruned=6)
    report, found = audited(folder, [ledger()])
    assert by_edge(found)[MINE].unproven[0].numbers == Span(1, 1)
    assert "--renamed jetson-1=jetson" in str(by_edge(found)[MINE].unproven[0])
    assert report.balanced
    assert not report.proven
    stated = scope_between(None, None, None, ["jetson-1=jetson"])
    for scope in (stated, replace(stated, edge=MINE), scope_between("jetson-1", None, None, ["jetson-1=jetson"])):
        report, outbox = audited(folder, [ledger()], scope)
        assert (outbox.edge, outbox.captured, outbox.stored) == (MINE, 10, 10)
        assert report.proven
    with pytest.raises(SettingsError, match="--renamed"):
        scope_between(None, None, None, ["jetson"])


def test_copies_of_one_outbox_do_not_explain_each_other(folder):
    """Two boxes ran on copies of one card, both renamed: the objects of the old name fit both ledgers."""
    folder.put_faces(*faces(1, 2, edge="old"))
    entries = [face.entry() for face in faces(1, 2, edge="old")]
    ledgers = [EdgeLedger(edge, {"0badcafe": 2}, None, list(entries)) for edge in ("left", "right")]
    report, found = audited(folder, ledgers)
    assert {each.edge: (each.stored, each.has_ledger) for each in found} == {
        "left": (2, True),
        "right": (2, True),
        "old": (2, False),
    }
    assert not report.proven, "the old name has no ledger"


def test_changed_bytes_of_a_face_under_its_former_name(folder):
    face = Face(1, edge="old")
    folder.put(face.key, b"other")
    ledgers = [ledger_of([face.entry()], 1, edge=edge) for edge in ("left", "right")]
    _, found = audited(folder, ledgers)
    assert [len(each.wrong) for each in found] == [1, 1, 1]


def test_an_edge_without_a_ledger_is_not_proven(folder):
    folder.put_faces(*faces(1, 2), Face(1, edge="other", outbox="ffffffff"))
    mine = ledger_of([face.entry() for face in faces(1, 2)], 2)
    report, _ = audited(folder, [mine])
    assert report.balanced
    assert not report.proven
    assert any("other, outbox ffffffff: no ledger was given" in sentence for sentence in report.unproven)
    mine = ledger_of([face.entry() for face in faces(1, 2)], 2)
    assert audited(folder, [mine], Scope(edge=MINE))[0].proven


def test_a_mark_of_an_edge_without_a_face(folder):
    """Its faces wait, or are lost: nothing else in the bucket shows that it exists."""
    folder.put_mark("other", a1=(1, 7))
    report, outbox = audited(folder, [], EVERYTHING)
    assert (outbox.edge, outbox.captured, outbox.gaps) == ("other", 7, (Span(1, 7),))
    assert report.faults == {"unexplained": 7}


def test_an_empty_bucket_proves_nothing(folder):
    report, _ = audited(folder, [])
    assert report.balanced
    assert not report.proven
    fresh, outbox = audited(folder, [ledger_of([], 0)])
    assert (outbox.captured, fresh.proven) == (0, True)


def test_a_former_name_outside_the_range(folder):
    ledger = renamed(folder)
    scope = Scope(since=BEGAN + timedelta(minutes=6 * 6))
    report, outbox = audited(folder, [ledger()], scope)
    assert (outbox.captured, outbox.stored) == (5, 5)
    assert report.proven
