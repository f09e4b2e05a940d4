"""The cloud of the bench: the role's broker, the product's subscribers, a store; what each costs."""

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from bench.face_app_chain import TICKS, wait_until_ready
from face_app.cloud.bucket import operations
from face_app.common.mqtt import Connection
from face_app.common.settings import Broker as BrokerSettings
from face_app.common.settings import Store
from support.authority import Authority
from support.brokers import Broker, configure_cloud_broker
from support.ports import free_port
from support.processes import process
from support.seaweedfs import SeaweedFS

BUCKET = "face-app"
PATIENCE = 300.0


@dataclass
class Cloud:
    """A running cloud.

    Attributes:
        broker: To kill, and to start again.
        store: The bucket.
        config: Settings of a subscriber.
        programs: Running programs by part.
    """

    broker: Broker
    store: Store
    config: Path
    programs: dict[str, list[Popen[bytes]]]

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU time of each part until now, that of its own processes included."""
        roots = {part: [each.pid for each in running] for part, running in self.programs.items()}
        return {part: cpu_seconds_of(pids) for part, pids in (roots | {"broker": [self.broker.pid]}).items()}

    def broker_kilobytes(self) -> int:
        """Return the resident memory of the broker."""
        lines = Path(f"/proc/{self.broker.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def states_seconds(self, count: int) -> float:
        """Return the seconds in which a new reader receives the retained states of so many edges."""
        topics, complete = set(), threading.Event()

        def arrived(message, epoch):
            topics.add(message.topic)
            connection.acknowledge(message, epoch)
            if len(topics) == count:
                complete.set()

        folder = self.broker.folder
        identity = {"ca_file": "ca.crt", "cert_file": "gallery.crt", "key_file": "gallery.key"}
        files = {key: folder / file for key, file in identity.items()}
        settings = BrokerSettings(host="127.0.0.1", port=self.broker.port, **files)
        connection = Connection(settings, "fleet-states", subscriptions=["status/#"], on_message=arrived)
        began = time.monotonic()
        connection.start()
        try:
            assert complete.wait(PATIENCE), f"{len(topics)} states of {count}"
            return time.monotonic() - began
        finally:
            connection.stop()


def cpu_seconds_of(roots: Sequence[int]) -> float:
    """Return the CPU time of processes and of all their living children."""
    ticks, found = 0, list(roots)
    while found:
        pid = found.pop()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return ticks / TICKS


def certify(folder: Path, edges: Sequence[str], subscribers: Sequence[str]) -> None:
    """Issue all certificates, with the keys of the role ``certificates`` (P-256)."""
    authority = Authority(folder)
    authority.issue("cloud-broker", usage="server", days=3)
    for name in ("gallery", *subscribers, *edges):
        authority.issue(name, days=3)
    authority.revoke()


@contextmanager
def cloud(home: Path, server: SeaweedFS, bucket: str, edges: Sequence[str], subscribers: int) -> Iterator[Cloud]:
    """Run broker and subscribers; the certificates of the edges are in the broker's folder."""
    names = [f"subscriber-{number}" for number in range(1, subscribers + 1)]
    broker = Broker("cloud", home / "cloud", free_port())
    broker.folder.mkdir()
    certify(broker.folder, edges, names)
    configure_cloud_broker(broker, subscribers=names)
    store = Store(kind="s3", bucket=bucket, endpoint=server.endpoint, credentials_file=server.credentials)
    operations.ensure(store, check=False)
    with ExitStack() as stack:
        stack.callback(broker.stop)
        broker.start()
        programs, config = [], home
        for name in names:
            port = free_port()
            config = _write_settings(home, name, broker, store, port)
            command = [sys.executable, "-m", "face_app", "subscribe", "--config", config]
            log = home / f"{name}.log"
            programs.append(stack.enter_context(process(command, log, env=dict(os.environ))))
            wait_until_ready(port, log)
        yield Cloud(broker, store, config, {"subscribers": programs, "store": [server.process]})


def _write_settings(home: Path, name: str, broker: Broker, store: Store, port: int) -> Path:
    config = home / f"{name}.toml"
    config.write_text(
        f'subscriber = "{name}"\n'
        f'[store]\nkind = "s3"\nbucket = "{store.bucket}"\nendpoint = "{store.endpoint}"\n'
        f'credentials_file = "{store.credentials_file}"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {broker.port}\nca_file = "{broker.folder}/ca.crt"\n'
        f'cert_file = "{broker.folder}/{name}.crt"\nkey_file = "{broker.folder}/{name}.key"\n'
        f"[metrics]\nport = {port}\n"
    )
    return config
