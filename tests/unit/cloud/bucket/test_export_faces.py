"""An export is a ZIP file of the stored bytes, made without the memory for all of them."""

import io
import json
import tracemalloc
import zipfile
from datetime import timedelta

import pytest

from face_app.cloud.bucket import operations
from face_app.cloud.bucket.export_faces import export_zip
from face_app.cloud.bucket.selection import parse_selection
from face_app.cloud.stores import open_store
from face_app.common.errors import StoreError
from face_app.common.settings import Store
from support.faces import TAKEN
from support.noise import noise, noisy_face
from support.s3 import client

EVERYTHING = {"edge": "jetson", "to": "2027-01-01"}


def stored(store, count=4):
    faces = [
        noisy_face(number, visit=f"0badcafe-12345678-{number % 2}", captured_at=TAKEN + timedelta(minutes=20 * number))
        for number in range(count)
    ]
    for face in faces:
        open_store(store).put(face.key, face.payload, face.sha256)
    return faces


@pytest.fixture(params=["directory", "s3"])
def store(request, tmp_path, bucket_name):
    if request.param == "s3":
        server = request.getfixturevalue("weed_server")
        client(server.endpoint).create_bucket(Bucket=bucket_name)
        return Store(kind="s3", bucket=bucket_name, endpoint=server.endpoint, credentials_file=server.credentials)
    (tmp_path / "store").mkdir()
    return Store(kind="directory", path=tmp_path / "store")


def exported(store, values):
    pieces = list(export_zip(store, parse_selection(values)))
    archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert archive.testzip() is None
    return archive, json.loads(archive.read("metadata.json"))


def test_the_images_are_the_stored_bytes_and_the_metadata_describes_each(store):
    faces = stored(store)
    archive, document = exported(store, EVERYTHING)
    assert set(archive.namelist()) == {"metadata.json", *(face.key for face in faces)}
    assert {entry["file"]: entry["sha256"] for entry in document["faces"]} == {face.key: face.sha256 for face in faces}
    assert document["faces"][0]["metadata"]["camera"] == "door"
    assert document["selection"] == {"edge": "jetson", "to": "2027-01-01T00:00:00+00:00"}
    for face in faces:
        assert archive.read(face.key) == face.payload


def test_a_part_of_an_hour_and_a_visit_have_exactly_their_faces(store):
    faces = stored(store)
    until = faces[2].metadata.captured_at.isoformat()
    assert len(exported(store, {"edge": "jetson", "to": until})[1]["faces"]) == 2
    visit = {**EVERYTHING, "visit": "0badcafe-12345678-1"}
    assert [entry["file"] for entry in exported(store, visit)[1]["faces"]] == [faces[1].key, faces[3].key]


def test_nothing_selected_is_a_valid_file(store):
    archive, document = exported(store, {"edge": "nano", "to": "2027-01-01"})
    assert (archive.namelist(), document["faces"]) == (["metadata.json"], [])


def test_an_object_without_metadata_is_exported_or_named(store):
    (face,) = stored(store, 1)
    other = noisy_face(9).key
    operations.writer(store)(other, b"damaged")
    document = exported(store, EVERYTHING)[1]
    assert {entry["file"]: bool(entry["metadata"]) for entry in document["faces"]} == {face.key: True, other: False}
    partly = {"edge": "jetson", "from": TAKEN.isoformat(), "to": (TAKEN + timedelta(seconds=1)).isoformat()}
    document = exported(store, partly)[1]
    assert document["not_comparable"] == [other]


def test_memory_does_not_grow_with_the_number_of_faces(tmp_path):
    store = Store(kind="directory", path=tmp_path)
    image = noise(1, size=400)
    for number in range(100):
        key = noisy_face(number).key
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(image)
    tracemalloc.start()
    try:
        written = sum(map(len, export_zip(store, parse_selection(EVERYTHING))))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert written > 100 * len(image)
    assert peak < 20 * len(image)


def test_a_bucket_that_is_away_ends_the_export(tmp_path):
    with pytest.raises(StoreError):
        list(export_zip(Store(kind="directory", path=tmp_path / "away"), parse_selection(EVERYTHING)))
