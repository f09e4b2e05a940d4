"""Whatever bytes arrive at the gallery: no failure, no trace of one, and no face without a session."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.client import HTTPResponse
from urllib.parse import quote, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from face_app.cloud.gallery.access.guard import HEADERS
from face_app.common.settings import Store
from support.faces import DrawnFace
from support.gallery import RunningGallery, running_gallery
from support.portraits import portrait
from support.ports import free_port

PASSWORD = "correct horse battery"
HASHED = "scrypt$1024$8$1$c2FsdHNhbHRzYWx0c2FsdA==$fXnS5Awj6eMC+z1SbPBpyxEKbW7GHGyuCeVjw7IJSMI="
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)
KNOWN = portrait(1, NOON, camera="door")
"""A face whose key the requests contain."""
OTHER = portrait(2, NOON, camera="cellar7")
"""A face whose camera no request contains: an answer with it shows what is stored."""
MANY = 5_000
"""Requests of the long test."""


@dataclass(frozen=True)
class Request:
    """A request as it is sent; its length and its end are always right, so that an answer always comes."""

    method: str = "GET"
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    session: bool = False

    def encoded(self, cookie: str) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        own = {name.lower() for name, _ in self.headers}
        defaults = {"Host": "localhost", "Connection": "close", **({"Cookie": cookie} if self.session else {})}
        lines += [f"{name}: {value}" for name, value in defaults.items() if name.lower() not in own]
        lines += [f"{name}: {value}" for name, value in self.headers]
        head = "\r\n".join([*lines, f"Content-Length: {len(self.body)}", "", ""])
        return head.encode("utf-8", "surrogateescape") + self.body


@dataclass(frozen=True)
class Target:
    """A gallery with two faces, and the cookie of an admin."""

    gallery: RunningGallery
    cookie: str
    faces: list[DrawnFace] = field(default_factory=list)

    def ask(self, request: Request) -> tuple[HTTPResponse, bytes]:
        with socket.create_connection(("127.0.0.1", int(self.gallery.address.rpartition(":")[2])), 60) as connection:
            connection.sendall(request.encoded(self.cookie))
            answer = HTTPResponse(connection, method=request.method)
            answer.begin()
            stream = answer.headers.get_content_type() == "text/event-stream"
            return answer, b"" if stream else answer.read()

    def check(self, request: Request) -> None:
        answer, body = self.ask(request)
        assert answer.status < 500, body
        for name, value in HEADERS.items():
            assert answer.headers.get_all(name) == [value], name
        assert b"Traceback" not in body
        if not request.session:
            assert b"\xff\xd8\xff" not in body
            assert b"cellar7" not in body


@pytest.fixture(scope="module")
def target(tmp_path_factory) -> Iterator[Target]:
    home = tmp_path_factory.mktemp("gallery")
    bucket = home / "bucket"
    for face in (KNOWN, OTHER):
        path = bucket / face.key
        path.parent.mkdir(parents=True)
        path.write_bytes(face.payload)
    users = {"users": [{"name": "ada", "role": "admin", "password": HASHED}]}
    (home / "users.json").write_text(json.dumps(users))
    store = Store(kind="directory", path=bucket)
    values = {"users_file": str(home / "users.json"), "access_log": str(home / "access.log")}
    with running_gallery(home, store, free_port(), **values) as gallery:
        form = {"user": "ada", "password": PASSWORD}
        answer = gallery.client.post("/login", data=form, headers={"Origin": gallery.address})
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"].partition(";")[0]
        gallery.client.cookies.set(*cookie.split("="))
        gallery.listed()
        yield Target(gallery, cookie)
        assert gallery.process.poll() is None
        assert gallery.client.get(f"/image/{OTHER.key}").content == OTHER.payload
    assert "Traceback" not in gallery.log.read_text()


def _path(text: str) -> str:
    return "/" + quote(text, safe="/%", errors="surrogateescape")


ROUTES = st.sampled_from(
    [
        *("", "edges", "ledgers", "events", "login", "logout", "api/faces", "api/hours", "api/edges", "api/ledgers"),
        *("api/state", "static/gallery.css", "static/", "static/../gallery.py", "image/", "face/", "erase/", "api"),
        *(f"{page}/{KNOWN.key}" for page in ("image", "face", "erase", "api/faces")),
    ]
)
ANYTHING = st.text(max_size=60) | st.binary(max_size=60).map(lambda data: data.decode("utf-8", "surrogateescape"))
TRICKS = st.sampled_from(
    [
        "%00",
        "%ff",
        "%ed%a0%80",
        "%2e%2e/",
        "../",
        "//",
        "%2f",
        "\\",
        "%0d%0a",
        ";a",
        "%",
        "%zz",
        "x" * 9_000,
        "\u0130",
        "%c0%ae",
    ]
)
PATHS = st.builds(
    lambda route, trick, tail: _path(route + trick + tail), ROUTES, TRICKS | st.just(""), ANYTHING | st.just("")
)
VALUES = ANYTHING | st.sampled_from(
    [
        *("2026-11-22T12:00", "0001-01-01T00:00", "9999-12-31T23:59", "2026-11-22T12:00+14:00", "-1", "1e999", "NaN"),
        *("9" * 400, "door", "jetson", KNOWN.key, "/", "//evil.example", "1763812800000.1", "0.0.0", "a" * 5_000),
    ]
)
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["edge", "camera", "from", "to", "before", "download", "user", "password", "token", "?"])
        | ANYTHING,
        VALUES,
    ),
    max_size=5,
).map(lambda pairs: urlencode(pairs, errors="surrogateescape"))
NAMES = st.sampled_from(
    [
        *(
            "Host",
            "Origin",
            "Cookie",
            "Accept",
            "If-None-Match",
            "If-Modified-Since",
            "Range",
            "Content-Type",
            "Referer",
        ),
        *("Sec-Fetch-Site", "Sec-Fetch-Mode", "X-Forwarded-For", "X-Forwarded-Host", "Upgrade", "Expect", "X-\u00e9"),
    ]
)
HEADER_VALUES = VALUES.map(lambda text: "".join(each for each in text if each >= " ")) | st.sampled_from(
    [
        *(
            "localhost",
            "http://localhost",
            "localhost:x",
            "[::1",
            "[",
            "text/html",
            "bytes=0-",
            "cross-site",
            "navigate",
        ),
        *("face-app-session=", "face-app-session=a.b", "face-app-session=%ff.%ff", "null", "100-continue", "websocket"),
        *("http://[", "http://]:-1/", "application/json", "face-app-session=\u00e9.\u00e9", '"', "W/*", "="),
    ]
)
REQUESTS = st.builds(
    Request,
    method=st.sampled_from(
        ["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "X"]
    ),
    target=st.builds(lambda path, query: f"{path}?{query}", PATHS, FIELDS)
    | PATHS
    | st.sampled_from(["*", "http://x/"]),
    headers=st.lists(st.tuples(NAMES, HEADER_VALUES), max_size=4).map(tuple)
    | st.just((("Origin", "http://localhost"), ("Accept", "text/html"))),
    body=FIELDS.map(str.encode) | st.binary(max_size=200) | st.just(b"x" * 10_000),
    session=st.booleans(),
)


@given(request=REQUESTS)
@example(request=Request(target=f"/image/{KNOWN.key}"))
@example(request=Request(headers=(("Origin", "http://["),)))
@example(request=Request(headers=(("Cookie", "face-app-session=\u00e9.\u00e9"),)))
@example(request=Request(target="/login?to=%ed%a0%80", headers=(("Accept", "text/html"),)))
def test_no_request_makes_it_fail_or_shows_a_face(target, request):
    target.check(request)


@pytest.mark.full
@settings(max_examples=MANY)
@given(request=REQUESTS)
def test_thousands_of_requests_make_it_neither_fail_nor_show_a_face(target, request):
    target.check(request)


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        b"GET / HTTP/1.1\r\n\xff: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=lambda data: repr(data[:30]),
)
def test_what_is_no_http_is_refused_with_the_headers_too(target, data):
    with socket.create_connection(("127.0.0.1", int(target.gallery.address.rpartition(":")[2])), 60) as connection:
        connection.sendall(data + b"\r\n\r\n")
        answer = HTTPResponse(connection)
        answer.begin()
        assert 400 <= answer.status < 500
        assert answer.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
        assert b"cellar7" not in answer.read()


def test_a_connection_that_ends_in_the_middle_harms_nothing(target):
    whole = Request(method="POST", target="/login", body=b"user=ada&password=x").encoded("")
    for length in (0, 1, 10, len(whole) // 2, len(whole) - 1):
        with socket.create_connection(("127.0.0.1", int(target.gallery.address.rpartition(":")[2])), 60) as connection:
            connection.sendall(whole[:length])
    target.check(Request(session=True))
