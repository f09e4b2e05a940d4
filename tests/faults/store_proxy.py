"""Provides an HTTP proxy in front of a real S3 server that fails, delays or refuses requests on demand."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

REFUSAL = b"<Error><Code>AccessDenied</Code><Message>read-only</Message></Error>"
FAILURE = b"<Error><Code>InternalError</Code><Message>failure of the test</Message></Error>"
LACKING = b"<Error><Code>NotImplemented</Code><Message>no such call here</Message></Error>"
_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "expect"}


class StoreProxy:
    """Controls the faults of the proxy.

    Attributes:
        errors: Fraction of requests answered with 500; half of these reach the store first.
        seconds: Delay of each PUT.
        lacks: Sub-resources such as ``policy`` that are answered with 501.
        read_only: True to answer PUT, POST and DELETE with 403.
        drops_unsigned: True to close the connection of a request without a signature.
        failed: Number of requests that failed or were refused.
    """

    def __init__(self, endpoint: str, seed: int) -> None:
        self.errors = 0.0
        self.seconds = 0.0
        self.lacks: frozenset[str] = frozenset()
        self.read_only = False
        self.drops_unsigned = False
        self.failed = 0
        self.target = urlsplit(endpoint)
        self.chance = random.Random(seed)
        self.lock = threading.Lock()

    def heal(self) -> None:
        self.errors, self.seconds, self.read_only, self.drops_unsigned = 0.0, 0.0, False, False

    def draw(self) -> tuple[bool, bool]:
        """Draw whether this request fails, and whether it reaches the store first."""
        with self.lock:
            fails = self.chance.random() < self.errors
            self.failed += fails
            return fails, self.chance.random() < 0.5


@contextmanager
def store_proxy(endpoint: str, port: int, seed: int) -> Iterator[StoreProxy]:
    """Run the proxy on the loopback interface."""
    proxy = StoreProxy(endpoint, seed)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if proxy.drops_unsigned and "Authorization" not in self.headers:
                self.close_connection = True
                return
            if proxy.read_only and self.command not in {"GET", "HEAD"}:
                proxy.failed += 1
                self._answer(403, [], REFUSAL)
                return
            if proxy.lacks & set(parse_qs(urlsplit(self.path).query, keep_blank_values=True)):
                self._answer(501, [], LACKING)
                return
            fails, reaches = proxy.draw()
            if self.command == "PUT" and proxy.seconds:
                time.sleep(proxy.seconds)
            if fails and not reaches:
                self._answer(500, [], FAILURE)
                return
            try:
                status, headers, answer = self._ask(body)
            except (OSError, HTTPException):
                self._answer(502, [], FAILURE)
                return
            if fails:
                self._answer(500, [], FAILURE)
            else:
                self._answer(status, headers, answer)

        def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            store = HTTPConnection(str(proxy.target.hostname), proxy.target.port or 80, timeout=60)
            try:
                # The signature covers the address that the client knows, so it is passed on as it is.
                store.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in _HOP:
                        store.putheader(name, value)
                store.endheaders(body)
                answer = store.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            finally:
                store.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response_only(status)
            length = None
            for name, value in headers:
                if name.lower() == "content-length":
                    length = value
                elif name.lower() not in _HOP:
                    self.send_header(name, value)
            # The answer to a HEAD has the length of the body that it omits.
            self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            """Log nothing: the programs of the chain log their errors."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                """Ignore a client that was killed."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
