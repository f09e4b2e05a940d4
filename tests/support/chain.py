"""Both ends as processes: three brokers with the roles' own configurations, the store, and the two programs."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from face_app.cloud.bucket import operations
from face_app.cloud.bucket.mark_object import MARKS
from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.common.metadata import read_image
from face_app.common.settings import Store
from support.authority import Authority
from support.brokers import Broker, configure_cloud_broker, configure_edge_broker, configure_forwarder
from support.ports import free_ports
from support.processes import process
from support.s3fs import S3fs, s3fs_mount
from support.seaweedfs import SeaweedFS

EDGE, PASSWORD = "jetson", "only-for-tests"


@dataclass
class Chain:
    """A running chain.

    Attributes:
        brokers: ``edge``, ``forwarder``, ``cloud``.
        store: The bucket, as its subscriber sees it.
        mount: The s3fs mount.
        home: Where logs, outbox and settings are.
    """

    brokers: dict[str, Broker]
    store: Store
    mount: S3fs
    home: Path

    def capture(self, source: Path, *arguments: str, wait: float = 60) -> dict[str, Any]:
        """Run `face-app capture` to its end and read its summary."""
        command = [sys.executable, "-m", "face_app", "capture", "--config", self.home / "edge.toml", "--json"]
        command += ["--source", source, "--pace", "fast", "--wait", str(wait), *arguments]
        done = subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True, timeout=240)
        assert done.stdout, done.stderr
        summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return summary

    @contextmanager
    def capturing(self, source: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run `face-app capture` beside the test."""
        command: list[str | Path] = [sys.executable, "-m", "face_app", "capture", "--config", self.home / "edge.toml"]
        command += ["--source", source, "--pace", "fast", *arguments]
        with process(command, self.home / "capture.log", env=dict(os.environ)) as running:
            yield running

    def send(self) -> None:
        """Send until no face waits."""
        command = [sys.executable, "-m", "face_app", "send", "--config", str(self.home / "edge.toml"), "--until-empty"]
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    def committed(self) -> dict[str, str]:
        """Every face that was ever committed at the edge: from its id to its SHA-256, as the outbox has them."""
        if not (self.home / "outbox.db").exists():
            return {}
        with closing(sqlite3.connect(self.home / "outbox.db")) as outbox:
            if not outbox.execute("SELECT 1 FROM sqlite_master WHERE name = 'faces'").fetchone():
                return {}  # it is being made
            return dict(outbox.execute("SELECT id, sha256 FROM faces").fetchall())

    def stored(self) -> dict[str, str]:
        """Every face in the bucket: from the id inside its file to the SHA-256 of its bytes."""
        objects = S3Bucket(self.store)
        files = [objects.get(key) for key in self.keys()]
        found = [(read_image(file, max_pixels=10_000_000).face_id, file) for file in files if file]
        assert len(found) == len(files)
        ids = {str(face_id): hashlib.sha256(file).hexdigest() for face_id, file in found if face_id}
        assert len(ids) == len(files), "an object without metadata, or a face in two objects"
        return ids

    def keys(self) -> set[str]:
        """All objects in the bucket but marks, which any subscriber writes."""
        return {key for key in operations.keys(self.store, "") if not key.startswith(MARKS)}


@contextmanager
def chain(home: Path, server: SeaweedFS, bucket_name: str) -> Iterator[Chain]:
    """Start everything but the camera.

    Args:
        home: An empty folder.
        server: Where the bucket will be.
        bucket_name: Not there yet.
    """
    brokers = make_brokers(home)
    store = Store(kind="s3", bucket=bucket_name, endpoint=server.endpoint, credentials_file=server.credentials)
    mounted = store.model_copy(update={"kind": "mount", "path": home / "mount"})
    write_settings(home, brokers, mounted)
    operations.ensure(store, check=False)
    (home / "mount").mkdir()
    with ExitStack() as stack:
        mount = stack.enter_context(s3fs_mount(server, bucket_name, home / "mount", log=home / "s3fs.log"))
        for broker in brokers.values():
            stack.callback(broker.stop)
            broker.start()
        subscribe: list[str | Path] = [sys.executable, "-m", "face_app", "subscribe", "--config", home / "cloud.toml"]
        stack.enter_context(process(subscribe, home / "subscribe.log", env=dict(os.environ)))
        yield Chain(brokers, store, mount, home)


def make_brokers(
    home: Path, subscribers: Sequence[str] = ("subscriber-1",), *, others: Sequence[str] = (), memory: int = 512
) -> dict[str, Broker]:
    """Configure the three brokers as the roles do; none is started.

    Args:
        home: An empty folder.
        subscribers: Names of the subscribers.
        others: Names of further edges, whose certificates are in the folder of the cloud's broker.
        memory: Maximum of the cloud's broker in MB.
    """
    names = ("edge", "forwarder", "cloud")
    brokers = {name: Broker(name, home / name, port) for name, port in zip(names, free_ports(3), strict=True)}
    for broker in brokers.values():
        broker.folder.mkdir()
    _configure(brokers, subscribers, others, memory)
    return brokers


def _configure(brokers: dict[str, Broker], subscribers: Sequence[str], others: Sequence[str], memory: int) -> None:
    edge, forwarder, cloud = brokers["edge"], brokers["forwarder"], brokers["cloud"]
    authority = Authority(cloud.folder)
    # Longer than a test whose clocks jump by a day needs.
    authority.issue("cloud-broker", usage="server", days=3)
    for name in ("health", "gallery", EDGE, *subscribers, *others):
        authority.issue(name, days=3)
    authority.revoke()
    for name in ("ca.crt", f"{EDGE}.crt", f"{EDGE}.key"):
        (forwarder.folder / name).write_bytes((cloud.folder / name).read_bytes())
    configure_edge_broker(edge, EDGE, PASSWORD)
    configure_forwarder(forwarder, EDGE, PASSWORD, edge_port=edge.port, cloud=[f"127.0.0.1:{cloud.port}"])
    configure_cloud_broker(cloud, subscribers=subscribers, memory=memory)


def write_settings(home: Path, brokers: dict[str, Broker], store: Store, *, metrics: int | None = None) -> None:
    """Write ``edge.toml`` and ``cloud.toml``.

    Args:
        home: Where.
        brokers: Of the chain.
        store: Store of the subscriber.
        metrics: Port of the subscriber's metrics.
    """
    (home / "password").write_text(PASSWORD)
    (home / "edge.toml").write_text(
        f'edge = "{EDGE}"\n'
        f'[outbox]\npath = "{home}/outbox.db"\n'
        '[sender]\nlink = "bridged"\nresend_after = 2\n'
        f'[broker]\nport = {brokers["edge"].port}\nusername = "face_app"\npassword_file = "{home}/password"\n'
    )
    cloud = brokers["cloud"]
    path = f'path = "{store.path}"\n' if store.path else ""
    (home / "cloud.toml").write_text(
        f'[store]\nkind = "{store.kind}"\n{path}bucket = "{store.bucket}"\nendpoint = "{store.endpoint}"\n'
        f'credentials_file = "{store.credentials_file}"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {cloud.port}\nca_file = "{cloud.folder}/ca.crt"\n'
        f'cert_file = "{cloud.folder}/subscriber-1.crt"\nkey_file = "{cloud.folder}/subscriber-1.key"\n'
        + (f"[metrics]\nport = {metrics}\n" if metrics else "")
    )
