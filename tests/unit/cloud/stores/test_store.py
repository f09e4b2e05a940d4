"""Keys, the choice of a store, and the behaviour that all stores share."""

import hashlib
import subprocess
import sys

import pytest

from face_app.cloud.stores import open_store
from face_app.cloud.stores.store import refuse_replacing, safe_parts
from face_app.common.errors import MessageError, SettingsError
from face_app.common.settings import Store
from support.faces import drawn_face


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/./b", "a/", ".hidden", "a/.incoming/b", "a\\b", "a\nb", "ä/b"],
)
def test_a_key_is_a_relative_path_of_plain_names(key):
    with pytest.raises(MessageError, match="bad-key"):
        safe_parts(key)


def test_keys_of_faces_are_accepted():
    face = drawn_face()
    assert "/".join(safe_parts(face.key)) == face.key


@pytest.fixture(params=["directory", "s3"])
def store(request, tmp_path):
    if request.param == "directory":
        return open_store(Store(kind="directory", path=tmp_path))
    return open_store(request.getfixturevalue("made"))


@pytest.mark.usefixtures("each_client")
@pytest.mark.parametrize("server", ["moto", "weed"], indirect=True)
def test_every_store_creates_notices_copies_and_repairs(store, server):
    store.check()
    face, other = drawn_face(1), b"half an upload"
    assert store.put(face.key, other, hashlib.sha256(other).hexdigest()).outcome == "created"
    assert store.put(face.key, face.payload, face.sha256).outcome == "repaired"
    assert store.put(face.key, face.payload, face.sha256).outcome == "already"
    assert store.put("quarantine/empty/none.bin", b"", hashlib.sha256(b"").hexdigest()).outcome == "created"


@pytest.mark.usefixtures("each_client")
@pytest.mark.parametrize("server", ["moto", "weed"], indirect=True)
def test_no_store_replaces_an_object_that_fits_its_key(store, server):
    """An edge can find other bytes whose hash begins as the key says: 48 bits are minutes of work."""
    face, other = drawn_face(1), b"a collision"
    store.put(face.key, face.payload, face.sha256)
    with pytest.raises(MessageError, match="key-taken"):
        store.put(face.key, other, hashlib.sha256(other).hexdigest())
    assert store.put(face.key, face.payload, face.sha256).outcome == "already"


def test_bytes_that_do_not_fit_their_key_are_replaced():
    face = drawn_face(1)
    quarantined = f"quarantine/jetson/empty/{face.sha256}.bin"
    for key in (face.key, quarantined, f"test/seed/2026/01/01/00/face-{face.sha256[:12]}.png"):
        refuse_replacing(key, b"half an upload")
        with pytest.raises(MessageError, match="key-taken"):
            refuse_replacing(key, face.payload)
    refuse_replacing("a/b.jpg", face.payload)


@pytest.mark.parametrize("server", ["moto"], indirect=True)
def test_every_store_refuses_a_key_that_leads_out(store, server):
    with pytest.raises(MessageError, match="bad-key"):
        store.put("../escape", b"x", hashlib.sha256(b"x").hexdigest())


def test_a_plain_folder_needs_no_boto3(tmp_path):
    program = (
        "import sys; sys.modules['boto3'] = sys.modules['botocore'] = None\n"
        "import face_app.cloud.subscriber.subscribe, face_app.cloud.bucket.verify\n"
        "from face_app.cloud.bucket.operations import ensure\n"
        "from face_app.cloud.stores import open_store\n"
        "from face_app.common.settings import Store\n"
        f"store = Store(kind='directory', path={str(tmp_path)!r})\n"
        "ensure(store, check=False); open_store(store).check()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "contains no line"),
        ("no colon\n", "contains no line"),
        ("other:key:secret\n", "contains no line"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_credentials_file_is_named(tmp_path, content, problem):
    file = tmp_path / "credentials"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=problem) as error:
        open_store(Store(kind="s3", credentials_file=file))
    assert str(file) in str(error.value)


@pytest.mark.parametrize("content", [None, "", "certificate\n"])
def test_a_bad_ca_file_is_named(tmp_path, content):
    (tmp_path / "keys").write_text("key:secret\n")
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError) as error:
        open_store(Store(kind="s3", credentials_file=tmp_path / "keys", ca_file=file))
    assert str(error.value).startswith(f"store.ca_file {file} cannot be read: ")
