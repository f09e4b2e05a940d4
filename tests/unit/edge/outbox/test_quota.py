"""A full outbox: nothing is dropped without the operator's word, and each dropped face is counted."""

import sqlite3
from collections import Counter
from datetime import datetime, timezone

import pytest

from face_app.common.errors import OutboxUnavailableError
from face_app.common.settings import OutboxFile
from face_app.common.wire import Receipt
from face_app.edge.outbox.outbox import Outbox
from services.new_faces import new_face


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


def test_stop_keeps_everything_and_goes_on_when_there_is_room(path, caplog):
    faces = []
    with opened(path, "stop") as outbox:

        def add_for_ever():
            while True:
                faces.extend(outbox.add([new_face(size=300)]))

        with pytest.raises(OutboxUnavailableError, match=r"is full .* raise outbox.max_bytes, or set outbox.when_full"):
            add_for_ever()
        assert outbox.backlog()[0] == len(faces) > 50
        assert 0.95 < outbox.fullness <= 1
        now = datetime.now(timezone.utc)
        outbox.settle([Receipt(face.id, face.sha256, face.key, now, "stored") for face in faces[:10]])
        assert outbox.add([new_face(size=300)])[0].id.sequence == len(faces) + 1
    assert caplog.text.count("of outbox.max_bytes is used") == 2, "at 70 and at 90 %"


def test_drop_oldest(path):
    with opened(path, "drop-oldest") as outbox:
        for _ in range(500):
            outbox.add([new_face(size=300)])
        assert outbox.fullness <= 1
        tally = outbox.tally()
    found = rows(path)
    assert Counter(state for _, state, *_ in found) == {"waiting": tally.waiting, "expired": tally.expired}
    assert tally.expired > 20
    assert tally.waiting > 50
    assert [state for _, state, *_ in found] == ["expired"] * tally.expired + ["waiting"] * tally.waiting
    assert {reason for _, state, reason, *_ in found if state == "expired"} == {"drop-oldest"}
    assert all((state == "expired") == bool(gone) for _, state, _, _, gone in found)


def test_drop_lowest_score_even_if_that_is_the_new_one(path):
    with opened(path, "drop-lowest-score") as outbox:
        for number in range(500):
            outbox.add([new_face(size=300, score=(number * 37 % 500) / 500)])
        dropped = outbox.tally().expired
    scores = {state: [] for state in ("waiting", "expired")}
    for _, state, _, score, _ in rows(path):
        scores[state].append(score)
    assert len(scores["expired"]) == dropped > 20
    assert max(scores["expired"]) < min(scores["waiting"])


def test_refused_faces_go_first_for_the_cloud_has_a_copy(path):
    with opened(path, "drop-oldest") as outbox:
        faces = [face for _ in range(60) for face in outbox.add([new_face(size=300)])]
        now = datetime.now(timezone.utc)
        outbox.settle([Receipt(face.id, face.sha256, "", now, "refused", "too-large") for face in faces[30:40]])
        while outbox.tally().expired < 5:
            outbox.add([new_face(size=300)])
        expired = [face.id.sequence for face in outbox.faces() if face.state == "expired"]
    assert expired == [31, 32, 33, 34, 35]


@pytest.mark.root
@pytest.mark.parametrize("rule", ["drop-oldest", "drop-lowest-score"])
def test_a_full_disk_drops_by_the_rule_too(small_disk, rule):
    other = small_disk / "other"
    other.write_bytes(bytes(1 << 20))
    with opened(small_disk / "outbox.db", rule, megabytes=1000) as outbox:
        added = 0
        while outbox.tally().expired < 10 and added < 2000:
            added += len(outbox.add([new_face(size=900)]))
        tally = outbox.tally()
        assert tally.expired >= 10
        assert tally.waiting + tally.expired == added


def test_a_dropped_face_that_arrived_after_all_is_stored(path):
    with opened(path, "drop-oldest") as outbox:
        (face,) = outbox.add([new_face(size=300)])
        while not outbox.tally().expired:
            outbox.add([new_face(size=300)])
        expired = outbox.tally().expired
        outbox.settle([Receipt(face.id, face.sha256, face.key, datetime.now(timezone.utc), "stored")])
        assert outbox.tally().expired == expired - 1
        assert outbox.tally().stored == 1
