"""A face has arrived only when its bytes come back."""

import threading
import time
from urllib.request import urlopen

import pytest

from face_app.cloud.bucket import verify
from face_app.cloud.stores import open_store
from face_app.common.errors import NotVerifiedError
from face_app.common.settings import Store
from support.faces import drawn_face


def test_fetched_compared_and_linked(made):
    face = drawn_face()
    open_store(made).put(face.key, face.payload, face.sha256)
    with urlopen(verify.run(made, face.key, face.sha256, wait=0)) as answer:
        assert answer.read() == face.payload


@pytest.fixture
def folder(tmp_path):
    return Store(kind="directory", path=tmp_path)


def test_a_face_that_is_late_is_waited_for(folder):
    face = drawn_face()
    late = threading.Timer(0.5, open_store(folder).put, (face.key, face.payload, face.sha256))
    late.start()
    with urlopen(verify.run(folder, face.key, face.sha256, wait=10)) as answer:
        assert answer.read() == face.payload
    late.join()


@pytest.mark.parametrize("kind", ["directory", "moto", "weed"])
def test_a_face_that_does_not_come(kind, folder, request, bucket_name):
    if kind != "directory":
        server = request.getfixturevalue(f"{kind}_server")
        folder = Store(kind="s3", bucket=bucket_name, endpoint=server.endpoint, credentials_file=server.credentials)
    began = time.monotonic()
    with pytest.raises(NotVerifiedError, match=r"did not arrive within 0.3 s: .*(not there|does not exist)"):
        verify.run(folder, drawn_face().key, "0" * 64, wait=0.3)
    assert time.monotonic() - began < 60


def test_reports_other_bytes_at_once(folder):
    face = drawn_face()
    open_store(folder).put(face.key, face.payload, face.sha256)
    with pytest.raises(NotVerifiedError, match=face.sha256):
        verify.run(folder, face.key, "0" * 64, wait=60)
