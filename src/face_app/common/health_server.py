"""Serve the health of a program: /metrics for Prometheus, /live and /ready for health checks."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from face_app.common.errors import SettingsError
from face_app.common.settings import Metrics
from face_app.common.tls_server import CLIENT_SECONDS, TlsServer, load_context

MOST_BODY_BYTES = 1_000_000
"""Maximum size of a request: Alertmanager sends at most some hundred alarms in one."""

Facts: TypeAlias = Mapping[str, float | int | str | bool | None]


class Capability(str, Enum):
    """Names work that a program was observed to do."""

    FRAMES = "frames"
    UPLINK = "uplink"
    RECEIPTS = "receipts"
    OBJECTS = "objects"


@dataclass(frozen=True)
class Health:
    """Describes the health of a running program.

    Attributes:
        live: True if nothing on this machine prevents the work. A camera that is off, or a cloud that is down, does not
            count.
        ready: True if the program does its work.
        reason: Reason why the program is not live or not ready; empty if it is ready.
        capabilities: Work that was observed recently.
        facts: Measurements that led to this result: ages in seconds, states of connections, counts.
    """

    live: bool
    ready: bool
    reason: str
    capabilities: frozenset[Capability]
    facts: Facts

    @classmethod
    def failed(cls, reason: str) -> "Health":
        """Describe a program whose health cannot be determined."""
        return cls(live=False, ready=False, reason=reason, capabilities=frozenset(), facts={})

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Health":
        """Parse the JSON values that `document` returns.

        Raises:
            KeyError: A field is missing.
            TypeError: `document` is not a mapping.
            ValueError: A capability is unknown.
        """
        return cls(
            live=document["live"],
            ready=document["ready"],
            reason=document["reason"],
            capabilities=frozenset(map(Capability, document["capabilities"])),
            facts=document["facts"],
        )

    def document(self) -> dict[str, Any]:
        """Return the health as JSON values."""
        return {
            "live": self.live,
            "ready": self.ready,
            "reason": self.reason,
            "capabilities": sorted(capability.value for capability in self.capabilities),
            "facts": dict(self.facts),
        }


def determine(health: Callable[[], Health]) -> Health:
    """Determine the health of a program; if that fails, the error is its reason."""
    try:
        return health()
    except Exception as error:  # noqa: BLE001 - the health reports the error
        return Health.failed(str(error) or type(error).__name__)


@dataclass(frozen=True)
class Answer:
    """Is the answer to a request.

    Attributes:
        status: Status of HTTP.
        text: Its body.
    """

    status: int
    text: str


class AlarmReceiver(Protocol):
    """Takes the alarms that Alertmanager posts."""

    def authorised(self, authorization: str) -> bool:
        """Return True if this header allows the request."""

    def received(self, body: bytes) -> Answer:
        """Take the body of an allowed request."""


class Listeners:
    """Contains the running servers of one program."""

    def __init__(self, servers: Sequence[ThreadingHTTPServer]) -> None:
        self._servers = servers

    def start(self) -> None:
        """Answer requests in new threads."""
        for server in self._servers:
            threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()

    def shutdown(self) -> None:
        """Answer no more requests."""
        for server in self._servers:
            server.shutdown()

    def server_close(self) -> None:
        """Close the ports."""
        for server in self._servers:
            server.server_close()


def serve(settings: Metrics, health: Callable[[], Health], alarms: AlarmReceiver | None = None) -> Listeners | None:
    """Serve /metrics, /live and /ready in new threads, in clear text and with TLS as the settings say.

    Args:
        settings: Addresses to listen on.
        health: Determines the health of the program.
        alarms: Takes ``POST /alerts``; None: no such address.

    Returns:
        The servers; None if no port is set.

    Raises:
        SettingsError: A port is in use, or a file of the certificate cannot be read.
    """
    handler = _handler(health, alarms)
    servers: list[ThreadingHTTPServer] = []
    if settings.port is not None:
        address = (settings.host, settings.port)
        servers.append(_listen("metrics.port", settings.port, lambda: ThreadingHTTPServer(address, handler)))
    if settings.tls_port is not None:
        context = load_context(settings)
        place = (settings.tls_host, settings.tls_port)
        names = settings.client_names
        servers.append(
            _listen("metrics.tls_port", settings.tls_port, lambda: TlsServer(place, handler, context, names))
        )
    if not servers:
        return None
    listeners = Listeners(servers)
    listeners.start()
    return listeners


def _listen(name: str, port: int, open_server: Callable[[], ThreadingHTTPServer]) -> ThreadingHTTPServer:
    try:
        return open_server()
    except OSError as error:
        raise SettingsError(f"{name} = {port}: {error}; choose another port") from error


def _handler(health: Callable[[], Health], alarms: AlarmReceiver | None) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = CLIENT_SECONDS  # else an idle connection has its thread for ever

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(REGISTRY))
            elif self.path in {"/live", "/ready"}:
                state = determine(health)
                passed = state.live if self.path == "/live" else state.ready
                self._answer(200 if passed else 503, "application/json", json.dumps(state.document()).encode())
            else:
                self._answer(404, "text/plain", b"/metrics, /live or /ready\n")

        def do_POST(self) -> None:
            self.close_connection = True  # a body that is refused is not read
            answer = self._take_alarms() if alarms and self.path == "/alerts" else Answer(404, "/alerts\n")
            self._answer(answer.status, "text/plain", answer.text.encode())

        def _take_alarms(self) -> Answer:
            length = self.headers.get("Content-Length", "")
            if alarms is None or not alarms.authorised(self.headers.get("Authorization", "")):
                return Answer(401, "this token is not that of notifications.alerts_token_file\n")
            if not length.isdecimal():
                return Answer(411, "a Content-Length is missing\n")
            if len(length) > 9 or int(length) > MOST_BODY_BYTES:
                return Answer(413, f"more than {MOST_BODY_BYTES} bytes\n")
            try:
                body = self.rfile.read(int(length))
            except OSError:
                return Answer(408, "the body did not arrive in time\n")
            return alarms.received(body)

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing: a health check comes every few seconds."""

    return Handler


def fetch_health(settings: Metrics, *, timeout: float = 5) -> Health:
    """Fetch the health of the program that runs with these settings; a program that does not answer is not live.

    Args:
        settings: The address that the program listens on.
        timeout: Maximum seconds to wait for the answer.

    Raises:
        SettingsError: No port is set, so there is no address.
    """
    if settings.port is None:
        raise SettingsError("metrics.port: not set; without it the program has no health endpoint")
    connection = HTTPConnection(settings.host, settings.port, timeout=timeout)
    try:
        connection.request("GET", "/ready")
        return Health.from_document(json.loads(connection.getresponse().read()))
    except (OSError, HTTPException, ValueError, TypeError, KeyError) as error:
        return Health.failed(f"no answer on {settings.host}:{settings.port}: {error}")
    finally:
        connection.close()
