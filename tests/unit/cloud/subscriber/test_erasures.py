"""A subscriber stores no face that a tombstone covers, and knows each tombstone within the limit."""

import threading
from datetime import datetime, timedelta, timezone

import pytest

from face_app.cloud.bucket.selection import describe, parse_selection
from face_app.cloud.bucket.tombstone import Tombstone, dump_tombstone
from face_app.cloud.subscriber.erasures import Erasures
from face_app.common.errors import StoreError
from face_app.common.settings import Store
from support.faces import TAKEN
from support.noise import noisy_face
from support.waiting import until

FACE = noisy_face(1)
LIMIT = 60.0


@pytest.fixture
def store(tmp_path):
    (tmp_path / "store").mkdir()
    return Store(kind="directory", path=tmp_path / "store")


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def write(store, values):
    tombstone = Tombstone(parse_selection(values), datetime.now(timezone.utc), "ada")
    file = store.path / tombstone.key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(dump_tombstone(tombstone))
    return file


def covered(erasures, face=FACE):
    return erasures.cover(describe(face.key, face.payload))


def test_a_face_of_a_tombstone_is_covered_after_a_refresh(store):
    erasures = Erasures(store, LIMIT)
    erasures.refresh()
    assert not covered(erasures)
    write(store, {"edge": "nano", "to": "2027-01-01"})
    file = write(store, {"key": FACE.key})
    erasures.refresh()
    assert covered(erasures)
    assert not covered(erasures, noisy_face(2))
    file.unlink()
    erasures.refresh()
    assert not covered(erasures)
    write(store, {"edge": "jetson", "from": TAKEN.isoformat(), "to": (TAKEN + timedelta(seconds=1)).isoformat()})
    erasures.refresh()
    assert covered(erasures)
    assert not covered(erasures, noisy_face(2, captured_at=TAKEN + timedelta(seconds=1)))


def test_the_list_is_not_used_when_it_is_older_than_the_limit(store):
    clock = Clock()
    erasures = Erasures(store, LIMIT, clock)
    assert "not listed yet" in erasures.problem
    erasures.refresh()
    assert erasures.problem == ""
    clock.now += LIMIT - 1
    assert erasures.wait()
    clock.now += 1
    assert "tombstones are not known" in erasures.problem
    waiting = threading.Thread(target=erasures.wait)
    waiting.start()
    erasures.refresh()
    waiting.join(60)
    assert not waiting.is_alive()


def test_a_bucket_that_is_away_leaves_the_list_as_it_was(store, tmp_path):
    write(store, {"key": FACE.key})
    erasures = Erasures(store, LIMIT)
    erasures.refresh()
    store.path.rename(tmp_path / "away")
    with pytest.raises(StoreError):
        erasures.refresh()
    assert covered(erasures)
    assert erasures.problem == ""


def test_nothing_is_known_before_the_bucket_was_listed(store, tmp_path):
    write(store, {"key": FACE.key})
    store.path.rename(tmp_path / "away")
    erasures = Erasures(store, 0.3)
    erasures.start()
    released = []
    waiting = threading.Thread(target=lambda: released.append(erasures.wait() and covered(erasures)))
    waiting.start()
    until(lambda: str(store.path) in erasures.problem)
    assert released == []
    (tmp_path / "away").rename(store.path)
    waiting.join(60)
    assert released == [True]
    erasures.stop()


def test_a_stop_ends_the_wait(store):
    erasures = Erasures(store, LIMIT)
    ended = []
    waiting = threading.Thread(target=lambda: ended.append(erasures.wait()))
    waiting.start()
    erasures.stop()
    waiting.join(60)
    assert ended == [False]


def test_a_bad_tombstone_is_counted_and_the_others_are_known(store, caplog):
    write(store, {"edge": "nano", "to": "2027-01-01"}).write_text("{}")
    write(store, {"key": FACE.key})
    erasures = Erasures(store, LIMIT)
    erasures.refresh()
    erasures.refresh()
    assert covered(erasures)
    assert len(erasures.tombstones.bad) == 1
    assert caplog.text.count("is no tombstone") == 1
