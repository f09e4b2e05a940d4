"""Prometheus and Alertmanager as processes, with the role's own settings and rules; alarms come in seconds."""

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

from support.brokers import ROLES, rendered
from support.ports import free_ports, wait_for_port
from support.processes import process

RULES = ROLES / "monitoring/files/rules"
TOKEN = "only-for-tests"
PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
MISSING = "Prometheus and Alertmanager are missing: bin/bootstrap test installs them"


def installed() -> bool:
    """Whether this machine has the programs."""
    return all(map(shutil.which, PROGRAMS))


@dataclass
class Receiver:
    """A webhook that takes alarms with the right token.

    Attributes:
        port: Where it listens.
        refused: Number of messages without the token.
    """

    port: int = 0
    refused: int = 0
    _messages: list[dict[str, Any]] = field(default_factory=list)

    def take(self, message: dict[str, Any]) -> None:
        self._messages.append(message)

    def forget(self) -> None:
        """Forget the alarms that came so far."""
        self._messages.clear()

    def alarms(self, status: str = "firing") -> dict[str, dict[str, str]]:
        """Labels of the alarms that came, by name."""
        alarms = [alarm for message in self._messages for alarm in message["alerts"]]
        return {alarm["labels"]["alertname"]: alarm["labels"] for alarm in alarms if alarm["status"] == status}


@dataclass(frozen=True)
class Monitoring:
    """Running programs.

    Attributes:
        prometheus: Address of Prometheus.
        alertmanager: Address of Alertmanager.
        receiver: Where alarms arrive.
        home: Settings and logs.
    """

    prometheus: str
    alertmanager: str
    receiver: Receiver
    home: Path

    @property
    def ready(self) -> bool:
        """Whether Prometheus answers queries."""
        try:
            urlopen(f"{self.prometheus}/-/ready", timeout=30).close()
        except HTTPError:
            return False
        return True

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of a query."""
        with urlopen(f"{self.prometheus}/api/v1/query?{urlencode({'query': expression})}", timeout=30) as answer:
            document = json.load(answer)
        assert document["status"] == "success"
        result: list[dict[str, Any]] = document["data"]["result"]
        return result

    def wait_for(self, condition: Callable[["Monitoring"], Any], *, seconds: float = 90) -> Any:
        """Wait until a condition is true; return its value."""
        deadline = time.monotonic() + seconds
        while not (found := condition(self)):
            assert time.monotonic() < deadline, (self.home / "prometheus.log").read_text()[-3000:]
            time.sleep(0.1)
        return found


@contextmanager
def monitoring(home: Path, *, subscribers: Sequence[str], gallery: str = "", **variables: Any) -> Iterator[Monitoring]:
    """Run both programs until the context ends.

    Args:
        home: An empty folder.
        subscribers: Host and port of each.
        gallery: Host and port; empty: none.
        variables: Further ones of the role.
    """
    with ExitStack() as stack:
        receiver = stack.enter_context(_receiver())
        port, alertmanager_port = free_ports(2)
        values: dict[str, Any] = {
            "monitoring_subscribers": list(subscribers),
            "monitoring_gallery": gallery,
            "monitoring_webhook_url": f"http://127.0.0.1:{receiver.port}/alerts",
            "monitoring_webhook_token": TOKEN,
            **variables,
        }
        places = {"/etc/face-app/": f"{home}/", "localhost:9090": f"127.0.0.1:{port}"}
        places["alertmanager:9093"] = f"127.0.0.1:{alertmanager_port}"
        _write(home, values, places)
        command = [
            "prometheus-alertmanager",
            f"--config.file={home}/alertmanager.yml",
            f"--storage.path={home}/silences",
        ]
        command += ["--cluster.listen-address=", f"--web.listen-address=127.0.0.1:{alertmanager_port}"]
        wait_for_port(alertmanager_port, stack.enter_context(process(command, home / "alertmanager.log", cwd=home)))
        command = ["prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/series"]
        command += [f"--web.listen-address=127.0.0.1:{port}"]
        wait_for_port(port, stack.enter_context(process(command, home / "prometheus.log", cwd=home)))
        addresses = (f"http://127.0.0.1:{port}", f"http://127.0.0.1:{alertmanager_port}")
        running = Monitoring(*addresses, receiver, home)
        running.wait_for(lambda each: each.ready)
        yield running


def _write(home: Path, values: dict[str, Any], places: dict[str, str]) -> None:
    """Write settings and rules with other places, and with times of a second or two."""
    changes = {"scrape_interval: 15s": "scrape_interval: 1s", "evaluation_interval: 15s": "evaluation_interval: 1s"}
    changes |= {"group_wait: 15s": "group_wait: 1s", "group_interval: 1m": "group_interval: 1s"}
    for name in ("prometheus.yml", "alertmanager.yml"):
        text = rendered("monitoring", f"{name}.j2", values)
        for before, after in (changes | places).items():
            text = text.replace(before, after)
        (home / name).write_text(text)
    (home / "webhook_token").write_text(f"{TOKEN}\n")
    (home / "rules").mkdir()
    for file in RULES.glob("*.yml"):
        (home / "rules" / file.name).write_text(re.sub(r"for: \w+", "for: 1s", file.read_text()))


@contextmanager
def _receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            allowed = self.headers["Authorization"] == f"Bearer {TOKEN}" and self.path == "/alerts"
            if allowed:
                receiver.take(json.loads(body))
            else:
                receiver.refused += 1
            self.send_response(200 if allowed else 403)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
