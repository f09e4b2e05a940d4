"""Each failure of an S3 store names its cause, and what to change."""

import contextlib
import socket
import ssl
import threading
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.parsers import ResponseParserError

from face_app.cloud.stores import open_store, s3_client
from face_app.cloud.stores.s3_client import translate_errors
from face_app.common.errors import StoreError
from face_app.common.settings import Store
from support.authority import Authority
from support.ports import free_port

pytestmark = pytest.mark.usefixtures("each_client")


class Answer(BaseHTTPRequestHandler):
    """A store that gives one answer to each request."""

    protocol_version = "HTTP/1.1"
    status = 200
    body = b""
    location = ""
    ahead = timedelta()

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        for name, value in {"Content-Length": len(self.body), "Location": self.location}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.body)

    def do_PUT(self):
        self.do_GET()

    def do_HEAD(self):
        self.do_GET()

    def date_time_string(self, timestamp=None):
        return format_datetime(datetime.now(timezone.utc) + self.ahead, usegmt=True)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def answering(certificate=None, host="127.0.0.1", **values):
    server = ThreadingHTTPServer((host, 0), type("Handler", (Answer,), values))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{certificate}.crt", f"{certificate}.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def problems(tmp_path):
    """Return what a check and a put say about an endpoint, in one line each."""
    (tmp_path / "keys").write_text("key:secret\n")

    def ask(endpoint, **changes):
        store = open_store(Store(kind="s3", endpoint=endpoint, credentials_file=tmp_path / "keys", **changes))
        said = []
        for attempt in (store.check, lambda: store.put("a/b.jpg", b"face", "0" * 64)):
            with pytest.raises(StoreError) as error:
                attempt()
            assert error.value.__cause__ is not None
            assert str(error.value).startswith(f"bucket face-app at {endpoint} ")
            assert "\n" not in str(error.value)
            said.append(str(error.value))
        return said

    return ask


def document(code, message="words"):
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


@pytest.mark.parametrize(
    ("status", "code", "cause"),
    [
        (403, "RequestTimeTooSkewed", "refuses the time of a request (RequestTimeTooSkewed): two clocks differ"),
        (403, "RequestExpired", "set the clocks of both by NTP"),
        (403, "SignatureDoesNotMatch", "refuses the key in"),
        (403, "InvalidAccessKeyId", "refuses the key in"),
        (401, "Whatever", "refuses the key in"),
        (404, "NoSuchBucket", "change store.bucket"),
        (400, "InvalidBucketName", "change store.bucket"),
        (400, "AuthorizationHeaderMalformed", "is in another region than store.region us-east-1; change it: words"),
        (413, "Anything", "lower max_bytes"),
        (400, "EntityTooLarge", "lower max_bytes"),
        (403, "QuotaExceeded", "refuses the key in"),
        (507, "InsufficientStorage", "has no space left (InsufficientStorage); free space"),
        (400, "XMinioStorageFull", "has no space left"),
        (400, "Novel", "answers 400 Novel: words; check store.endpoint, and its log"),
    ],
)
def test_an_answer_keeps_its_cause(problems, status, code, cause):
    with answering(status=status, body=document(code)) as port:
        for problem in problems(f"http://127.0.0.1:{port}"):
            assert cause in problem


@pytest.mark.parametrize("seconds", [-8, 8])
def test_an_answer_that_takes_seconds_is_no_difference_of_clocks(problems, seconds):
    with answering(status=403, body=document("RequestTimeTooSkewed"), ahead=timedelta(seconds=seconds)) as port:
        for problem in problems(f"http://127.0.0.1:{port}"):
            assert "two clocks differ; set the clocks of both by NTP" in problem


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_differs_is_named_and_not_the_key(problems, hours):
    """Some stores answer AccessDenied, or to a HEAD no code at all; their date shows the cause."""
    with answering(status=403, body=document("AccessDenied"), ahead=timedelta(hours=hours)) as port:
        for problem in problems(f"http://127.0.0.1:{port}"):
            seconds = int(problem.partition("its clock differs by ")[2].partition(" s from this machine's")[0])
            assert abs(seconds - hours * 3600) < 60
            assert "the key" not in problem


@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_names_its_target(problems, status):
    with answering(status=status, location="https://elsewhere.example/") as port:
        for problem in problems(f"http://127.0.0.1:{port}"):
            assert "redirects to https://elsewhere.example/" in problem
            assert "change store.endpoint" in problem


def test_a_port_where_nothing_listens(problems):
    for problem in problems(f"http://127.0.0.1:{free_port()}"):
        assert "does not answer: Connection refused; check host and port of store.endpoint" in problem


def test_a_name_that_is_not_found(problems):
    for problem in problems("http://nowhere.invalid"):
        assert "its host name is not found; check store.endpoint and the DNS servers" in problem


def test_a_store_that_is_silent(problems, monkeypatch):
    monkeypatch.setattr(s3_client, "READ_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        for problem in problems(f"http://127.0.0.1:{server.getsockname()[1]}"):
            assert "does not answer: it is connected, but too slow" in problem


def test_an_answer_that_is_not_s3(problems):
    with answering(status=400, body=b"Client sent an HTTP request to an HTTPS server.\n") as port:
        for problem in problems(f"http://127.0.0.1:{port}"):
            assert "answers 400 Bad Request; if its port expects TLS, let store.endpoint begin with https://" in problem
    with answering(body=b"<html><p>no S3 here</html>") as port:
        assert "check store.endpoint" in problems(f"http://127.0.0.1:{port}")[0]


def test_an_answer_that_boto3_cannot_read():
    store = Store(kind="s3", credentials_file="/keys")
    wanted = pytest.raises(StoreError, match=r"^it does not answer like S3: no XML; set store\.endpoint")
    with wanted, translate_errors("it", store):
        raise ResponseParserError("no\nXML")


def test_clear_text_to_a_port_with_tls_and_the_reverse(problems, tmp_path):
    Authority(tmp_path).issue("store", usage="server")
    with answering(tmp_path / "store") as port:
        for problem in problems(f"http://127.0.0.1:{port}"):
            assert "if its port expects TLS, let store.endpoint begin with https://" in problem
    with answering() as port:
        for problem in problems(f"https://127.0.0.1:{port}"):
            assert "its port has no TLS; let store.endpoint begin with http://" in problem


def test_a_certificate_of_an_unknown_ca(problems, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    Authority(tmp_path / "first").issue("store", usage="server")
    Authority(tmp_path / "second", "another authority")
    with answering(tmp_path / "first" / "store") as port:
        for problem in problems(f"https://127.0.0.1:{port}"):
            assert "its certificate is refused, unable to get local issuer certificate" in problem
            assert "set store.ca_file to the certificate of its CA" in problem
        other = tmp_path / "second" / "ca.crt"
        for problem in problems(f"https://127.0.0.1:{port}", ca_file=other):
            assert f"store.ca_file {other} does not contain its CA" in problem


def test_a_certificate_that_has_expired_or_has_another_name(problems, tmp_path):
    authority = Authority(tmp_path)
    authority.issue("old", usage="server", days=-1)
    authority.issue("store", usage="server")
    with answering(tmp_path / "old") as port:
        for problem in problems(f"https://127.0.0.1:{port}", ca_file=tmp_path / "ca.crt"):
            assert "certificate has expired; renew it, or set this machine's clock" in problem
    with answering(tmp_path / "store", host="127.0.0.2") as port:
        for problem in problems(f"https://127.0.0.2:{port}", ca_file=tmp_path / "ca.crt"):
            assert "set store.endpoint to a name in the certificate" in problem
