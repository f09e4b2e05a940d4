"""The S3 API, against moto and against a server that enforces keys."""

import hashlib
import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from face_app.cloud.stores import fast_client, open_store
from face_app.common.errors import StoreError
from face_app.common.settings import Store
from support.authority import Authority
from support.faces import drawn_face
from support.ports import free_port
from support.tls_relay import tls_relay

pytestmark = pytest.mark.usefixtures("each_client")


def test_the_object_is_the_message(made, s3):
    face = drawn_face()
    open_store(made).put(face.key, face.payload, face.sha256)
    found = s3.get_object(Bucket=made.bucket, Key=face.key)
    assert found["Body"].read() == face.payload
    assert found["ContentType"] == "image/jpeg"
    assert found["Metadata"] == {"sha256": face.sha256}


@pytest.mark.parametrize("server", ["weed"], indirect=True)
def test_many_threads_with_the_same_face_make_one_object(made, s3):
    face, outcomes = drawn_face(), []
    store = open_store(made, connections=8)

    def put():
        outcomes.append(store.put(face.key, face.payload, face.sha256).outcome)

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["already"] * 7 + ["created"]


def test_a_missing_bucket_says_how_to_make_it(s3_settings):
    store, face = open_store(s3_settings), drawn_face()
    for attempt in (store.check, lambda: store.put(face.key, face.payload, face.sha256)):
        with pytest.raises(StoreError, match="does not exist; `face-app bucket ensure`") as error:
            attempt()
        assert s3_settings.bucket in str(error.value)
        assert s3_settings.endpoint in str(error.value)


@pytest.mark.parametrize("server", ["weed"], indirect=True)
def test_a_wrong_key_names_the_file(made, wrong_credentials):
    store = open_store(made.model_copy(update={"credentials_file": wrong_credentials}))
    face = drawn_face()
    for attempt in (store.check, lambda: store.put(face.key, face.payload, face.sha256)):
        with pytest.raises(StoreError, match="refuses the key in") as error:
            attempt()
        assert str(wrong_credentials) in str(error.value)
        assert "\n" not in str(error.value)


def test_a_server_that_is_down_is_named(tmp_path):
    credentials = tmp_path / "credentials"
    credentials.write_text("key:secret\n")
    endpoint = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(StoreError, match="does not answer") as error:
        open_store(Store(kind="s3", endpoint=endpoint, credentials_file=credentials)).check()
    assert endpoint in str(error.value)


class Awkward(BaseHTTPRequestHandler):
    """A store that knows no conditions, and whose ETag is no MD5; `lies` makes it store other bytes."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]
    lies: bool
    refusal = (501, b"NotImplemented")
    etag: str | None = '"not-an-md5"'

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "If-None-Match" in self.headers:
            status, code = self.refusal
            self.answer(status, b"<Error><Code>" + code + b"</Code></Error>")
        else:
            self.objects[self.path] = body[::-1] if self.lies else body
            self.answer(200, b"")

    def do_GET(self):
        body = self.objects.get(self.path)
        self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>") if body is None else self.answer(200, body)

    def do_HEAD(self):
        self.do_GET()

    def answer(self, status, body):
        self.send_response(status)
        if self.etag:
            self.send_header("ETag", self.etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(params=[False, True], ids=["honest", "lying"])
def awkward(request, tmp_path):
    handler = type("Handler", (Awkward,), {"objects": {}, "lies": request.param})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    credentials = tmp_path / "credentials"
    credentials.write_text("key:secret\n")
    yield Store(kind="s3", endpoint=f"http://127.0.0.1:{server.server_port}", credentials_file=credentials), handler
    server.shutdown()
    server.server_close()


def test_without_conditions_and_md5_the_bytes_themselves_are_compared(awkward, monkeypatch):
    monkeypatch.setattr(fast_client, "BOTO3_ONLY_SECONDS", 0)
    settings, handler = awkward
    store, data = open_store(settings), b"face"
    for outcome in ("created", "already"):
        if handler.lies:
            with pytest.raises(StoreError, match="other bytes"):
                store.put("a/b.jpg", data, hashlib.sha256(data).hexdigest())
        else:
            assert store.put("a/b.jpg", data, hashlib.sha256(data).hexdigest()).outcome == outcome
            assert handler.objects == {f"/{settings.bucket}/a/b.jpg": data}


def test_boto3_replaces_obstore_for_a_while_after_a_failure(made, each_client, monkeypatch):
    store, first, second = open_store(made), drawn_face(1), drawn_face(2)
    fast, asked = store._bucket._fast, []
    assert (fast is not None) == (each_client == "obstore")
    if not fast:
        return

    def fail(*_, **__):
        asked.append("obstore")
        raise OSError("no answer")

    monkeypatch.setattr(fast_client.obstore, "put", fail)
    for face in (first, second):
        assert store.put(face.key, face.payload, face.sha256).outcome == "created"
    assert asked == ["obstore"]
    assert store.put(first.key, first.payload, first.sha256).outcome == "already"


def test_a_panic_of_native_code_is_a_failure_like_any_other(made):
    """obstore panics at an address with a blank; pydantic refuses one, `model_copy` does not."""
    store, face = open_store(made.model_copy(update={"endpoint": made.endpoint + " "})), drawn_face()
    with pytest.raises(StoreError):
        store.check()
    with pytest.raises(StoreError):
        store.put(face.key, face.payload, face.sha256)


def test_an_address_that_contains_a_bucket_fails_the_check(made):
    """Settings refuse the bucket's own name; another name, or a host that stands for a bucket, only shows here."""
    wrong = made.model_copy(update={"endpoint": f"{made.endpoint}/{made.bucket}"})
    with pytest.raises(StoreError, match=r"store\.endpoint"):
        open_store(wrong).check()


@pytest.mark.parametrize("awkward", [False], indirect=True)
@pytest.mark.parametrize("body", [b"", b"<html/>", b"<ListBucketResult><Name>other</Name></ListBucketResult>"])
def test_an_answer_that_does_not_name_the_bucket_fails_the_check(awkward, body):
    settings, handler = awkward
    handler.do_GET = lambda self: self.answer(200, body)
    with pytest.raises(StoreError, match=r"store\.endpoint"):
        open_store(settings).check()


@pytest.fixture
def behind_tls(tmp_path):
    """Return an address with a certificate of a private CA in front of a store's."""
    Authority(tmp_path).issue("store", usage="server")
    with ExitStack() as relays:
        yield lambda endpoint: relays.enter_context(tls_relay(endpoint, tmp_path / "store"))


@pytest.mark.parametrize("server", ["weed"], indirect=True)
def test_a_store_with_a_certificate_of_a_private_ca(made, behind_tls, each_client, tmp_path, monkeypatch):
    private = made.model_copy(update={"endpoint": behind_tls(made.endpoint), "ca_file": tmp_path / "ca.crt"})
    store, face = open_store(private), drawn_face()
    store.check()
    if each_client == "obstore":
        monkeypatch.setattr(store._bucket.client, "put_object", None)
    assert store.put(face.key, face.payload, face.sha256).outcome == "created"
    with pytest.raises(StoreError, match=r"set store\.ca_file"):
        open_store(private.model_copy(update={"ca_file": None})).check()


WITHOUT_CERTIFICATES = """
import sys
from pathlib import Path
from face_app.cloud.stores import open_store
from face_app.common.settings import Store
store = Store(kind="s3", bucket=sys.argv[1], endpoint=sys.argv[2], credentials_file=Path(sys.argv[3]))
print(open_store(store).put("a/b.jpg", b"face", sys.argv[4]).outcome)
"""


def test_a_machine_without_ca_certificates_stores_all_the_same(made):
    """As a small container image is one; obstore refuses to start there."""
    arguments = [made.bucket, made.endpoint, made.credentials_file, hashlib.sha256(b"face").hexdigest()]
    nowhere = {"SSL_CERT_FILE": "/nonexistent", "SSL_CERT_DIR": "/nonexistent", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_CERTIFICATES, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | nowhere,
    )
    assert done.stdout == "created\n", done.stderr


@pytest.mark.parametrize("server", ["weed"], indirect=True)
def test_obstore_alone_stores_a_face_and_confirms_one(made, each_client, monkeypatch):
    store, face = open_store(made), drawn_face()
    if each_client == "obstore":
        client = store._bucket.client
        monkeypatch.setattr(client, "put_object", None)
        monkeypatch.setattr(client, "head_object", None)
    assert store.put(face.key, face.payload, face.sha256).outcome == "created"
    assert store._bucket.matches(face.key, face.payload, face.sha256)
    assert store._bucket.matches(face.key, face.payload[::-1], "0" * 64) is False


@pytest.mark.parametrize("awkward", [False], indirect=True)
@pytest.mark.parametrize(
    ("refusal", "stored"),
    [
        ((501, b"NotImplemented"), True),
        ((400, b"NotImplemented"), True),
        ((400, b"InvalidArgument"), True),
        ((400, b"BadDigest"), False),
        ((400, b"IncompleteBody"), False),
    ],
)
def test_only_a_store_that_knows_no_conditions_gets_none(awkward, refusal, stored):
    settings, handler = awkward
    handler.refusal = refusal
    store, data = open_store(settings), b"face"
    sha256 = hashlib.sha256(data).hexdigest()
    if stored:
        assert store.put("a/b.jpg", data, sha256).outcome == "created"
    else:
        with pytest.raises(StoreError, match=refusal[1].decode()):
            store.put("a/b.jpg", data, sha256)
        assert handler.objects == {}


def test_without_an_etag_the_bytes_themselves_are_compared(awkward):
    settings, handler = awkward
    handler.etag = None
    store, data = open_store(settings), b"face"
    sha256 = hashlib.sha256(data).hexdigest()
    if handler.lies:
        with pytest.raises(StoreError, match="other bytes"):
            store.put("a/b.jpg", data, sha256)
    else:
        assert store.put("a/b.jpg", data, sha256).outcome == "created"
