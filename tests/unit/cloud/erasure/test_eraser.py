"""Erasure leaves no byte of a face in the bucket, wherever it is interrupted."""

import threading
from contextlib import suppress
from datetime import timedelta

import pytest

from face_app.cloud.bucket.selection import parse_selection
from face_app.cloud.bucket.tombstone import Tombstone, record_key
from face_app.cloud.erasure.eraser import Eraser, complete
from face_app.common.errors import SettingsError, StoreError
from face_app.common.settings import Erasure, Store
from support.faces import TAKEN
from support.noise import noisy_face, traces
from support.s3 import client

BEGAN = TAKEN.replace(minute=0, second=0, microsecond=0)
VISIT = "0badcafe-12345678-3"


class Place:
    """A bucket that is written without the code of the product; with versions where the store has them."""

    def __init__(self, store, versioned):
        self.store = store
        self.client = client(store.endpoint) if store.endpoint else None
        if self.client:
            self.client.create_bucket(Bucket=store.bucket)
        if versioned:
            self.client.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})

    def put(self, key, data):
        if self.client:
            self.client.put_object(Bucket=self.store.bucket, Key=key, Body=data)
        else:
            (self.store.path / key).parent.mkdir(parents=True, exist_ok=True)
            (self.store.path / key).write_bytes(data)

    def contents(self):
        """Every key with the bytes of all its versions."""
        if not self.client:
            files = [file for file in self.store.path.rglob("*") if file.is_file()]
            return {file.relative_to(self.store.path).as_posix(): [file.read_bytes()] for file in files}
        found = {}
        listed = self.client.list_object_versions(Bucket=self.store.bucket)
        assert not listed["IsTruncated"]
        for each in listed.get("Versions", []):
            which = {"Bucket": self.store.bucket, "Key": each["Key"], "VersionId": each["VersionId"]}
            found.setdefault(each["Key"], []).append(self.client.get_object(**which)["Body"].read())
        return found

    def faces(self):
        return {key for key in self.contents() if not key.startswith(("erased/", "quarantine/"))}


@pytest.fixture(params=["directory", "s3", "versioned"])
def place(request, tmp_path, bucket_name):
    if request.param == "directory":
        (tmp_path / "store").mkdir()
        return Place(Store(kind="directory", path=tmp_path / "store"), versioned=False)
    server = request.getfixturevalue("weed_server")
    store = s3_store(server, bucket_name)
    return Place(store, versioned=request.param == "versioned")


def s3_store(server, bucket):
    return Store(kind="s3", bucket=bucket, endpoint=server.endpoint, credentials_file=server.credentials)


def eraser_of(place):
    return Eraser(place.store, Erasure(staleness=0.01))


def erase(place, values):
    eraser = eraser_of(place)
    tombstones = eraser.order([parse_selection(each) for each in values], by="ada")
    return complete(eraser, tombstones, stop=threading.Event(), may_wait=False)


def fill(place, count=4):
    faces = [
        noisy_face(number, camera="door" if number % 2 else "gate", captured_at=TAKEN + timedelta(hours=number))
        for number in range(1, count + 1)
    ]
    for face in faces:
        place.put(face.key, face.payload)
    return faces


def test_a_key_loses_every_version_and_its_copies(place):
    one, other, *_ = fill(place)
    place.put(one.key, one.payload[:-100])
    place.put(f"quarantine/jetson/too-large/{one.sha256}.bin", one.payload)
    place.put(f"quarantine/too-large/{one.sha256}.bin", one.payload)
    place.put(f"quarantine/jetson/too-large/{other.sha256}.bin", other.payload)
    found = eraser_of(place).find([parse_selection({"key": one.key})])
    assert (found.keys, len(found.copies)) == ({one.key}, 2)
    before = place.contents()
    assert one.key in before
    erased = erase(place, [{"key": one.key}])
    assert (erased.keys, len(erased.copies)) == ({one.key}, 2)
    after = place.contents()
    assert after.keys() == before.keys() - erased.keys - erased.copies | {
        record_key(one.key),
        Tombstone(parse_selection({"key": one.key}), TAKEN, "ada").key,
    }
    assert not any(one.payload[-400:-300] in data for versions in after.values() for data in versions)
    again = erase(place, [{"key": one.key}])
    assert (again.keys, again.copies) == (set(), set())
    assert place.contents() == after


def test_a_hidden_version_is_erased_too(bucket_name, weed_server):
    store = s3_store(weed_server, bucket_name)
    place = Place(store, versioned=True)
    one, other = fill(place, 2)
    place.client.delete_object(Bucket=bucket_name, Key=one.key)
    assert one.key in place.contents()
    assert erase(place, [{"edge": "jetson", "to": "2027-01-01"}]).keys == {one.key, other.key}
    assert place.faces() == set()
    listed = place.client.list_object_versions(Bucket=bucket_name, Prefix="jetson/")
    assert "DeleteMarkers" not in listed


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        ({"edge": "jetson", "to": "2027-01-01"}, {1, 2, 3, 4}),
        ({"edge": "jetson", "camera": "door", "to": "2027-01-01"}, {1, 3}),
        ({"edge": "nano", "to": "2027-01-01"}, set()),
        ({"from": "2026-11-22T20:00", "to": "2026-11-22T22:00"}, {2, 3}),
        ({"edge": "jetson", "from": "2026-11-22T20:30:01", "to": "2026-11-22T21:30:01.123456Z"}, {2}),
        ({"edge": "jetson", "from": "2026-11-22T20:30:02", "to": "2026-11-22T21:30:02"}, {3}),
    ],
)
def test_a_range_covers_exactly_its_faces(place, values, numbers):
    faces = fill(place)
    stays = noisy_face(9, edge="other", captured_at=TAKEN + timedelta(days=90))
    place.put(stays.key, stays.payload)
    place.put("foreign.txt", b"foreign")
    keys = {face.key for face in faces if face.id.sequence in numbers}
    assert eraser_of(place).find([parse_selection(values)]).keys == keys
    assert erase(place, [values]).keys == keys
    assert place.faces() == {face.key for face in faces} - keys | {stays.key, "foreign.txt"}


def test_a_visit_loses_its_faces_and_copies(place):
    faces = [noisy_face(number, visit=VISIT if number < 3 else f"{VISIT}4") for number in (1, 2, 3)]
    for face in faces:
        place.put(face.key, face.payload)
    place.put(f"quarantine/jetson/wrong-camera/{faces[0].sha256}.bin", faces[0].payload)
    place.put(f"quarantine/jetson/not-an-image/{'0' * 64}.bin", b"unknown")
    erased = erase(place, [{"visit": f"jetson/{VISIT}", "to": "2027-01-01"}])
    assert erased.keys == {faces[0].key, faces[1].key}
    assert len(erased.copies) == 1
    assert erased.unattributed == 1
    assert place.faces() == {faces[2].key}


def test_a_face_that_cannot_be_compared_is_named_and_stays(place):
    face = noisy_face(1, captured_at=TAKEN + timedelta(hours=1))
    place.put(face.key, b"damaged")
    partly = {"edge": "jetson", "from": "2026-11-22T19:10", "to": "2026-11-22T19:20"}
    assert erase(place, [partly]).unreadable == {face.key}
    assert place.faces() == {face.key}
    assert erase(place, [{"key": face.key}]).keys == {face.key}
    assert erase(place, [partly]).unreadable == set()


class Killed(BaseException):
    """Ends an erasure as a kill does: no step follows."""


@pytest.mark.parametrize("place", ["directory", "versioned"], indirect=True)
@pytest.mark.parametrize("kind", ["key", "range"])
def test_killed_at_each_step_and_completed_later(place, kind, monkeypatch):
    """The steps are the requests that change the bucket; the next program knows only what is in the bucket."""
    for allowed in range(100):
        camera = f"camera-{allowed}"
        faces = [noisy_face(10 * allowed + number, camera=camera) for number in range(3)]
        for face in faces:
            place.put(face.key, face.payload)
        place.put(faces[0].key, faces[0].payload + b"newer")
        place.put(f"quarantine/jetson/too-large/{faces[0].sha256}.bin", faces[0].payload)
        values = {"key": faces[0].key} if kind == "key" else {"edge": "jetson", "camera": camera, "to": "2027-01-01"}
        covered = faces[:1] if kind == "key" else faces
        steps = iter(range(allowed))
        with suppress(Killed):
            eraser = limited(eraser_of(place), steps, monkeypatch)
            complete(eraser, eraser.order([parse_selection(values)], by="ada"), stop=threading.Event(), may_wait=False)
        present = place.contents().keys()
        assert {record_key(face.key) for face in covered if face.key not in present} <= present
        later = eraser_of(place)
        complete(later, later.tombstones(), stop=threading.Event(), may_wait=False)
        left = [data for versions in place.contents().values() for data in versions]
        gone = [not any(face.payload[-400:-352] in data for data in left) for face in faces]
        assert gone == [allowed > 0 and face in covered for face in faces]
        if next(steps, None) is not None:
            break  # it came to its end
    assert allowed > 3


def limited(eraser, steps, monkeypatch):
    """Let only so many changes of the bucket happen."""

    def guarded(act):
        lock = threading.Lock()

        def step(*arguments):
            with lock:
                if next(steps, None) is None:
                    raise Killed
                act(*arguments)

        return step

    monkeypatch.setattr(eraser, "_put", guarded(eraser._put))
    monkeypatch.setattr(eraser._versions, "delete", guarded(eraser._versions.delete))
    return eraser


def test_a_range_without_an_end_is_refused(place):
    with pytest.raises(SettingsError, match="every future face"):
        eraser_of(place).order([parse_selection({"edge": "jetson"})], by="ada")
    assert place.contents() == {}


def test_two_erasers_of_the_same_faces_both_end_well(place):
    faces = fill(place, 6)
    values = {"edge": "jetson", "to": "2027-01-01"}
    errors = []

    def run():
        try:
            erase(place, [values])
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert place.faces() == set()
    assert {record_key(face.key) for face in faces} <= place.contents().keys()


def test_an_incomplete_upload_is_erased_with_its_face(tmp_path):
    place = Place(Store(kind="directory", path=tmp_path), versioned=False)
    (face,) = fill(place, 1)
    place.put(f".incoming/{face.key.rpartition('/')[2]}.0123456789abcdef", face.payload)
    erase(place, [{"key": face.key}])
    assert traces(face.payload, tmp_path.rglob("*")) == []


def test_a_key_that_may_not_delete_is_an_error(weed_server, bucket_name, tmp_path):
    store = s3_store(weed_server, bucket_name)
    place = Place(store, versioned=False)
    (face,) = fill(place, 1)
    wrong = tmp_path / "wrong"
    wrong.write_text("unknown:unknown")
    with pytest.raises(StoreError):
        Eraser(store, Erasure(credentials_file=wrong)).order([parse_selection({"key": face.key})], by="ada")
    assert place.contents().keys() == {face.key}
