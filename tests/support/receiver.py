"""A service that receives notifications over HTTP, as Apprise's json:// and form:// send them."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.ports import free_port
from support.waiting import until


@dataclass(frozen=True)
class Received:
    """A notification that was accepted.

    Attributes:
        title: Its title.
        body: Its text.
        kind: Such as ``info``.
        pictures: Its attachments by file name.
    """

    title: str
    body: str
    kind: str
    pictures: dict[str, bytes]


@dataclass
class Receiver:
    """A service on the loopback.

    Attributes:
        port: That it listens on.
        status: What it answers; only below 300 a notification counts as received.
        received: What it accepted.
        attempts: Number of requests.
        silent: While it is set, requests are read and never answered.
    """

    port: int
    status: int = 200
    received: list[Received] = field(default_factory=list)
    attempts: int = 0
    silent: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Return its address for Apprise."""
        return f"json://127.0.0.1:{self.port}/notify"

    @property
    def titles(self) -> list[str]:
        return [each.title for each in self.received]

    def wait(self, count: int) -> list[Received]:
        """Wait for this number of notifications; return them."""
        until(lambda: len(self.received) >= count)
        return self.received


@contextmanager
def receiver(port: int | None = None) -> Iterator[Receiver]:
    """Run a service until the context ends."""
    service = Receiver(port or free_port())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            service.attempts += 1
            if service.silent.is_set():
                service.released.wait()
                return
            if service.status < 300:
                service.received.append(_parse(self.headers["Content-Type"], body))
            self.send_response(service.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", service.port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _parse(content_type: str, body: bytes) -> Received:
    if content_type.startswith("application/json"):
        document = json.loads(body)
        pictures = {each["filename"]: base64.b64decode(each["base64"]) for each in document["attachments"]}
        return Received(document["title"], document["message"], document["type"], pictures)
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    values: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for part in message.iter_parts():
        content: Any = part.get_payload(decode=True)
        file = part.get_filename()
        if file:
            files[file] = content
        else:
            values[str(part.get_param("name", header="content-disposition"))] = content.decode()
    return Received(values["title"], values["message"], values["type"], files)
