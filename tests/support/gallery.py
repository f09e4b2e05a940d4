"""The gallery as a process, beside a real broker and a real store."""

import json
import os
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx2
import paho.mqtt.publish

from face_app.common.settings import Store
from face_app.common.wire import Receipt, dump_receipts
from support.faces import DrawnFace
from support.ports import free_port, wait_for_port
from support.processes import process


@dataclass(frozen=True)
class RunningGallery:
    """A gallery that answers.

    Attributes:
        address: Of its pages.
        client: Asks it.
        log: Output of the program.
        process: To stop or kill it.
    """

    address: str
    client: httpx2.Client
    log: Path
    process: Any

    def api(self, path: str) -> dict[str, Any]:
        """Return what ``/api/<path>`` answers."""
        answer = self.client.get(f"/api/{path}")
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def keys(self, query: str = "") -> list[str]:
        """Return the keys on the first page of the timeline."""
        return [face["key"] for face in self.api(f"faces?{query}")["faces"]]

    def wait_for(self, wanted: Callable[["RunningGallery"], Any], *, seconds: float = 90) -> Any:
        """Wait until a condition is true; return its value."""
        deadline = time.monotonic() + seconds
        while not (found := wanted(self)):
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return found

    def listed(self) -> "RunningGallery":
        """Wait until the bucket was listed once."""
        self.wait_for(lambda gallery: gallery.api("state")["listed_at"])
        return self


def settings_text(store: Store, **values: Any) -> str:
    """Return a TOML file for a store; values are top-level settings."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items() if not isinstance(value, dict)]
    lines.append("[store]")
    for name, value in store.model_dump(exclude_none=True).items():
        lines.append(f"{name} = {json.dumps(str(value))}")
    for section, content in values.items():
        if isinstance(content, dict):
            lines += [f"[{section}]", *(f"{name} = {json.dumps(value)}" for name, value in content.items())]
    return "\n".join(lines) + "\n"


@contextmanager
def running_gallery(
    home: Path, store: Store, broker_port: int, *, port: int | None = None, tls: Path | None = None, **values: Any
) -> Iterator[RunningGallery]:
    """Run ``face-app gallery`` until the context ends.

    Args:
        home: Its settings, index and log.
        store: Of the faces.
        broker_port: Of a broker on the loopback that accepts all clients.
        port: Of the pages; None: a free one.
        tls: CA of its certificate, if it has one.
        values: Further settings.
    """
    port = port or free_port()
    config = home / "gallery.toml"
    broker = values.pop("broker", {"host": "127.0.0.1", "port": broker_port})
    config.write_text(settings_text(store, index=str(home / "index.db"), port=port, broker=broker, **values))
    command: list[str | Path] = [sys.executable, "-m", "face_app", "gallery", "--config", config]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    log = home / "gallery.log"
    with process(command, log, env=environment) as running:
        wait_for_port(port, running)
        address = f"{'https' if tls else 'http'}://localhost:{port}"
        trusted = ssl.create_default_context(cafile=tls)
        with httpx2.Client(base_url=address, verify=trusted, timeout=60, trust_env=False) as client:
            yield RunningGallery(address, client, log, running)


def publish_receipt(port: int, face: DrawnFace) -> None:
    """Publish the receipt of a stored face, as a subscriber does."""
    receipt = Receipt(face.id, face.sha256, face.key, datetime.now(timezone.utc), "stored")
    topic = f"receipts/{face.metadata.edge}/subscriber-1"
    paho.mqtt.publish.single(topic, dump_receipts([receipt]), qos=1, hostname="127.0.0.1", port=port)
