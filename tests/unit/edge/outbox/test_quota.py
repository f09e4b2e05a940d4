"""Checks that a full outbox drops faces only by the operator's rule, and counts each one."""

import sqlite3
from collections import Counter
from datetime import datetime, timezone

import pytest

from face_app.common.errors import OutboxUnavailableError
from face_app.common.settings import OutboxFile
from face_app.common.wire import Receipt
from face_app.edge.outbox.export import export_ledger
from face_app.edge.outbox.outbox import Outbox
from support.new_faces import new_face


def opened(path, rule, megabytes=2):
    return Outbox(OutboxFile(path=path, max_bytes=megabytes * 1_000_000, when_full=rule))


def rows(path):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(
            "SELECT faces.row, state, reason, score, pixels.row IS NULL"
            " FROM faces LEFT JOIN pixels USING (row) ORDER BY 1"
        ).fetchall()
    finally:
        connection.close()


def test_stop_drops_nothing_and_continues_when_there_is_room(path, caplog):
    faces = []
    with opened(path, "stop") as outbox:

        def add_for_ever():
            while True:
                faces.extend(outbox.append([new_face(size=300)]))

        with pytest.raises(OutboxUnavailableError, match=r"is full .* raise outbox.max_bytes, or set outbox.when_full"):
            add_for_ever()
        assert outbox.backlog()[0] == len(faces) > 50
        assert 0.95 < outbox.fullness <= 1
        now = datetime.now(timezone.utc)
        outbox.apply_receipts([Receipt(face.id, face.sha256, face.key, now, "stored") for face in faces[:10]])
        assert outbox.append([new_face(size=300)])[0].id.sequence == len(faces) + 1
    assert caplog.text.count("of outbox.max_bytes is used") == 2, "at 70 and at 90 %"


def test_drops_the_oldest(path):
    with opened(path, "drop-oldest") as outbox:
        for _ in range(500):
            outbox.append([new_face(size=300)])
        assert outbox.fullness <= 1
        counts = outbox.run_counts()
    found = rows(path)
    assert Counter(state for _, state, *_ in found) == {"waiting": counts.waiting, "expired": counts.expired}
    assert counts.expired > 20
    assert counts.waiting > 50
    assert [state for _, state, *_ in found] == ["expired"] * counts.expired + ["waiting"] * counts.waiting
    assert {reason for _, state, reason, *_ in found if state == "expired"} == {"drop-oldest"}
    assert all((state == "expired") == bool(gone) for _, state, _, _, gone in found)


def test_drops_the_lowest_score_even_of_a_new_face(path):
    with opened(path, "drop-lowest-score") as outbox:
        for number in range(500):
            outbox.append([new_face(size=300, score=(number * 37 % 500) / 500)])
        dropped = outbox.run_counts().expired
    scores = {state: [] for state in ("waiting", "expired")}
    for _, state, _, score, _ in rows(path):
        scores[state].append(score)
    assert len(scores["expired"]) == dropped > 20
    assert max(scores["expired"]) < min(scores["waiting"])


def test_drops_refused_faces_first(path):
    with opened(path, "drop-oldest") as outbox:
        faces = [face for _ in range(60) for face in outbox.append([new_face(size=300)])]
        now = datetime.now(timezone.utc)
        outbox.apply_receipts([Receipt(face.id, face.sha256, "", now, "refused", "too-large") for face in faces[30:40]])
        while outbox.run_counts().expired < 5:
            outbox.append([new_face(size=300)])
        expired = [face.id.sequence for face in outbox.run_faces() if face.state == "expired"]
    assert expired == [31, 32, 33, 34, 35]


@pytest.mark.root
@pytest.mark.parametrize("rule", ["drop-oldest", "drop-lowest-score"])
def test_a_full_disk_drops_by_the_rule(small_disk, rule):
    other = small_disk / "other"
    other.write_bytes(bytes(1 << 20))
    with opened(small_disk / "outbox.db", rule, megabytes=1000) as outbox:
        added = 0
        while outbox.run_counts().expired < 10 and added < 2000:
            added += len(outbox.append([new_face(size=900)]))
        counts = outbox.run_counts()
        assert counts.expired >= 10
        assert counts.waiting + counts.expired == added


def test_a_stored_receipt_overrides_an_expiry(path):
    with opened(path, "drop-oldest") as outbox:
        (face,) = outbox.append([new_face(size=300)])
        while not outbox.run_counts().expired:
            outbox.append([new_face(size=300)])
        expired = outbox.run_counts().expired
        outbox.apply_receipts([Receipt(face.id, face.sha256, face.key, datetime.now(timezone.utc), "stored")])
        assert outbox.run_counts().expired == expired - 1
        assert outbox.run_counts().stored == 1


def stored(faces):
    now = datetime.now(timezone.utc)
    return [Receipt(face.id, face.sha256, face.key, now, "stored") for face in faces]


@pytest.mark.parametrize("rule", ["stop", "drop-oldest", "drop-lowest-score"])
def test_the_ledger_of_stored_faces_uses_up_no_quota(path, rule):
    with opened(path, rule, megabytes=1) as outbox:
        for _ in range(40):
            outbox.apply_receipts(stored(outbox.append([new_face() for _ in range(100)])))
        assert outbox.fullness == 0
        outbox.append([new_face() for _ in range(100)])
        assert outbox.run_counts().expired == 0
        assert outbox.run_counts().waiting == 100


def test_the_ledger_of_stored_faces_is_pruned_before_the_file_outgrows_the_quota(path):
    with opened(path, "stop", megabytes=1) as outbox:
        for _ in range(60):
            outbox.apply_receipts(stored(outbox.append([new_face() for _ in range(100)])))
        ((pruned_to, sequence),) = outbox._connection.execute("SELECT pruned_to, sequence FROM outbox").fetchall()
        ((rows_left,),) = outbox._connection.execute("SELECT count(*) FROM faces").fetchall()
        assert pruned_to
        assert rows_left < sequence
    assert path.stat().st_size < 3_000_000


@pytest.mark.parametrize("value", [-1, 9_000_000_000_000_000_000])
def test_a_damaged_sum_stops_nothing(path, value):
    with opened(path, "stop") as outbox:
        outbox._connection.execute(f"UPDATE outbox SET pixel_bytes = {value}")
        assert outbox.append([new_face()])


def test_the_sum_of_all_files_is_exact(path):
    with opened(path, "stop", megabytes=100) as outbox:
        faces = outbox.append([new_face(size=100) for _ in range(9)])
        outbox.apply_receipts(stored(faces[:3]))
        query = "SELECT pixel_bytes, (SELECT sum(length(file)) FROM pixels) FROM outbox"
        ((noted, counted),) = outbox._connection.execute(query).fetchall()
        assert noted == counted > 0


def test_refused_and_expired_faces_are_pruned_by_age_and_stay_counted(path):
    with Outbox(OutboxFile(path=path, ledger_days=40)) as outbox:
        faces = outbox.append([new_face() for _ in range(8)])
        now = datetime.now(timezone.utc)
        outbox.apply_receipts([Receipt(face.id, face.sha256, "", now, "refused", "bad") for face in faces[:6]])
        outbox._connection.execute("UPDATE faces SET settled_at = settled_at - 41 * 86400 WHERE row <= 4")
        outbox.maintain()
        assert [face.state for face in outbox.run_faces()] == ["expired"] * 4 + ["refused"] * 2 + ["waiting"] * 2
        assert {face.reason for face in outbox.run_faces()[:4]} == {"refused"}
        assert outbox._connection.execute("SELECT count(*) FROM pixels").fetchall() == [(4,)]
        outbox._connection.execute("UPDATE faces SET settled_at = settled_at - 41 * 86400 WHERE row IN (1, 2, 4)")
        outbox._connection.execute("UPDATE faces SET captured_at = 5, settled_at = 5 WHERE state = 'waiting'")
        outbox.maintain()
        with export_ledger(outbox, "jetson") as ledger:
            assert [entry.id.sequence for entry in ledger.entries] == [3, 5, 6, 7, 8]
            assert ledger.pruned == {outbox.id: [(1, 2, "refused"), (4, 4, "refused")]}


def test_prunes_the_openings_that_no_face_needs(path):
    for _ in range(5):
        with opened(path, "stop") as outbox:
            (face,) = outbox.append([new_face()])
            outbox.apply_receipts(stored([face]))
    with opened(path, "stop") as outbox:
        outbox._connection.execute("UPDATE faces SET settled_at = 5 WHERE row < 4")
        outbox.maintain()
        with export_ledger(outbox, "jetson") as ledger:
            assert [first for _, first in ledger.openings[outbox.id]] == [4, 5]
