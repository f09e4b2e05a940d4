"""Checks that a full outbox drops faces only by the operator's rule, and counts each one."""

import sqlite3
from collections import Counter
from datetime import datetime, timezone

import pytest

from face_app.common.errors import OutboxUnavailableError
from face_app.common.settings import OutboxFile
from face_app.common.wire import Receipt
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
