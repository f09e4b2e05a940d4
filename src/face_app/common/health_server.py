"""How a program tells how it is: /metrics for Prometheus, /ready for people and health checks."""

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import Enum
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from face_app.common.errors import SettingsError
from face_app.common.settings import Metrics


class Work(Enum):
    """What a program is there for, and can be seen to do."""

    FRAMES = "frames"
    WAY = "way"
    RECEIPTS = "receipts"
    OBJECTS = "objects"


@dataclass(frozen=True)
class Health:
    """Whether work is being done, and if not, why.

    Attributes:
        ready: The answer.
        facts: What it rests on: ages in seconds, link states, counts.
        problem: One line for the operator; empty when ready.
        fault: The problem, as far as it lies on this machine: a camera that is off, or a cloud that is away, is none.
        unproven: Which of its works it has not been seen to do since its start, and why, in one line each.
    """

    ready: bool
    facts: dict[str, float | int | str | bool | None]
    problem: str = ""
    fault: str = ""
    unproven: dict[str, str] = field(default_factory=dict)


def serve(settings: Metrics, readiness: Callable[[], Health]) -> ThreadingHTTPServer | None:
    """Answer /metrics and /ready in a thread of its own.

    Returns:
        The server, or None where no port is set.

    Raises:
        SettingsError: The port is taken.
    """
    if settings.port is None:
        return None

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(REGISTRY))
            elif self.path == "/ready":
                state = readiness()
                body = json.dumps(asdict(state)).encode()
                self._answer(200 if state.ready else 503, "application/json", body)
            else:
                self._answer(404, "text/plain", b"/metrics or /ready\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: a health check every few seconds is no news."""

    try:
        server = ThreadingHTTPServer((settings.host, settings.port), Handler)
    except OSError as error:
        raise SettingsError(f"metrics.port = {settings.port}: {error}; choose another port") from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def ask(settings: Metrics, *, timeout: float = 5) -> Health:
    """Ask the program that runs with these settings how it is.

    Args:
        settings: Where it listens.
        timeout: Seconds to wait for its answer.

    Raises:
        SettingsError: No port is set, so nothing can be asked.
    """
    if settings.port is None:
        raise SettingsError("metrics.port: not set; without it the program cannot be asked how it is")
    connection = HTTPConnection(settings.host, settings.port, timeout=timeout)
    try:
        connection.request("GET", "/ready")
        return Health(**json.loads(connection.getresponse().read()))
    except (OSError, HTTPException, ValueError, TypeError) as error:
        return Health(False, {}, f"no answer on {settings.host}:{settings.port}: {error}")
    finally:
        connection.close()
