"""Runs several cloud hosts and edges as processes, with one bucket: a whole host dies, or is cut off.

`python -m faults.clouds --minutes 10 --act kill` in `tests` prints one line of JSON; `--help` names the acts. Each
client has an address of its own at each host, so that a rule of the kernel can drop what passes between these two.
"""

import argparse
import json
import logging
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from face_app.cloud.bucket import operations
from face_app.cloud.bucket.mark_object import MARKS
from face_app.common.settings import EdgeSettings, OutboxFile, Store
from face_app.common.wire import face_of_key
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.uplink.sender import Sender
from faults.program import Program
from faults.programs import BUCKET, broker_program
from support.authority import Authority
from support.brokers import Broker, configure_cloud_broker, configure_edge_broker, configure_forwarder
from support.chain import PASSWORD
from support.new_faces import new_face
from support.ports import free_ports
from support.seaweedfs import seaweedfs

RATE = 5.0
"""Faces a second of each edge."""
DRAIN_SECONDS = 180.0
"""Maximum seconds until all faces are stored after the last fault."""


@dataclass(frozen=True)
class Host:
    """Represents a cloud host: its broker and its subscriber."""

    number: int
    port: int
    broker: Program
    subscriber: Program

    def address(self, client: int) -> str:
        """Return where a client reaches the broker: hosts are the clients 0, 1, …, edges 100, 101, …."""
        return f"127.77.{self.number}.{client + 1}"

    def kill(self) -> None:
        """End all its processes, as a power cut does."""
        self.broker.kill()
        self.subscriber.kill()

    def start(self) -> None:
        for program in (self.broker, self.subscriber):
            if not program.alive:
                program.start()


@dataclass
class Edge:
    """Represents an edge: its brokers, and the product's outbox and sender in this process."""

    name: str
    client: int
    outbox: Outbox
    sender: Sender
    programs: Sequence[Program]
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def commit(self, count: int = 1) -> None:
        self.outbox.append([new_face(edge=self.name) for _ in range(count)])
        self.sender.wake()

    def begin(self, rate: float) -> None:
        """Commit faces in a thread of its own."""

        def run() -> None:
            while not self._stop.wait(1 / rate):
                self.commit()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def waiting(self) -> int:
        return self.outbox.backlog()[0]


@dataclass
class Clouds:
    """Represents the running site."""

    home: Path
    hosts: Sequence[Host]
    edges: Sequence[Edge]
    store: Store
    _rules: list[list[str]] = field(default_factory=list)

    def cut(self, host: Host, *clients: int) -> None:
        """Drop every packet from some clients to a host."""
        for client in clients:
            rule = ["INPUT", "-d", host.address(client), "-p", "tcp", "--dport", str(host.port), "-j", "DROP"]
            subprocess.run(["iptables", "-w", "-I", *rule], check=True)
            self._rules.append(rule)

    def heal(self) -> None:
        """Start what is dead, and end the cuts."""
        while self._rules:
            subprocess.run(["iptables", "-w", "-D", *self._rules.pop()], check=True)
        for host in self.hosts:
            host.start()

    def wait(self, seconds: float = 90) -> None:
        """Wait until every committed face has its receipt."""
        deadline = time.monotonic() + seconds
        while waiting := {edge.name: edge.waiting() for edge in self.edges if edge.waiting()}:
            assert time.monotonic() < deadline, f"faces wait: {waiting}"
            time.sleep(0.05)

    def connected_to(self, edge: Edge) -> str:
        """Return the address of the broker that has a connection of an edge's forwarder; empty if none has."""
        for host in self.hosts:
            listed = subprocess.run(
                ["ss", "-Htn", "state", "established", "dst", f"{host.address(edge.client)}:{host.port}"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            if listed.strip():
                return host.address(edge.client)
        return ""

    def faces(self) -> list[tuple[str, float, float]]:
        """Return id, time of the commit and of the receipt of each face of all edges."""
        rows: list[tuple[str, float, float]] = []
        for edge in self.edges:
            with closing(sqlite3.connect(self.home / f"{edge.name}.db")) as outbox:
                rows += outbox.execute("SELECT id, captured_at, settled_at FROM faces").fetchall()
        return rows

    def lost_and_duplicated(self) -> tuple[int, int]:
        """Compare the committed faces with the objects."""
        if self.store.kind == "directory":
            assert self.store.path
            files = (path for path in self.store.path.rglob("*.jpg") if ".incoming" not in path.parts)
            keys = [str(path.relative_to(self.store.path)) for path in files]
        else:
            keys = [key for key in operations.keys(self.store, "") if not key.startswith(MARKS)]
        stored = [str(face_of_key(key)) for key in keys]
        committed = {face for face, *_ in self.faces()}
        return len(committed - set(stored)), len(stored) - len(set(stored) & committed)


@contextmanager
def clouds(home: Path, *, hosts: int = 3, edges: int = 2, kind: str = "directory") -> Iterator[Clouds]:
    """Start hosts and edges; the store is a directory, or SeaweedFS (`s3`)."""
    with ExitStack() as stack:
        store = _store(home, kind, stack)
        clients = [f"subscriber-{number + 1}" for number in range(hosts)]
        names = [f"edge-{number + 1}" for number in range(edges)]
        authority = Authority(_folder(home / "pki"))
        for name in (*clients, *names):
            authority.issue(name)
        authority.revoke()
        ports = free_ports(hosts)
        addresses = [_addresses(number, hosts, edges) for number in range(hosts)]
        running: list[Host] = []
        for number, name in enumerate(clients):
            broker = Broker(f"cloud-{number + 1}", _folder(home / f"cloud-{number + 1}"), ports[number])
            authority.issue("cloud-broker", usage="server", addresses=[*addresses[number], "127.0.0.1"])
            _configure_host(broker, home / "pki", clients)
            brokers = [f"{addresses[other][number]}:{ports[other]}" for other in range(hosts)]
            subscriber = _subscriber(home, name, store, brokers)
            host = Host(number, ports[number], broker_program(broker, home), subscriber)
            stack.callback(host.broker.stop)
            stack.callback(host.subscriber.stop, 5)
            running.append(host)
        for host in running:
            host.start()
        made = [_edge(home, number, name, running, stack) for number, name in enumerate(names)]
        site = Clouds(home, running, made, store)
        stack.callback(site._rules.clear)
        try:
            yield site
        finally:
            for edge in made:
                edge.end()
            site_rules = list(site._rules)
            for rule in site_rules:
                subprocess.run(["iptables", "-w", "-D", *rule], check=False)


def _addresses(number: int, hosts: int, edges: int) -> list[str]:
    clients = [*range(hosts), *range(100, 100 + edges)]
    return [f"127.77.{number}.{client + 1}" for client in clients]


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _store(home: Path, kind: str, stack: ExitStack) -> Store:
    if kind == "directory":
        return Store(kind="directory", path=_folder(home / "store"))
    server = stack.enter_context(seaweedfs())
    store = Store(kind="s3", bucket=BUCKET, endpoint=server.endpoint, credentials_file=server.credentials)
    operations.ensure(store, check=False)
    return store


def _configure_host(broker: Broker, pki: Path, subscribers: Sequence[str]) -> None:
    for name in ("ca.crt", "ca.crl", "cloud-broker.crt", "cloud-broker.key"):
        (broker.folder / name).write_bytes((pki / name).read_bytes())
    configure_cloud_broker(broker, subscribers=subscribers)
    config = broker.folder / "mosquitto.conf"
    # Each client has an address of its own.
    config.write_text(config.read_text().replace(f"listener {broker.port} 127.0.0.1", f"listener {broker.port}"))


def _subscriber(home: Path, name: str, store: Store, brokers: Sequence[str]) -> Program:
    place = f'path = "{store.path}"\n' if store.path else f'bucket = "{store.bucket}"\nendpoint = "{store.endpoint}"\n'
    credentials = f'credentials_file = "{store.credentials_file}"\n' if store.credentials_file else ""
    text = f'subscriber = "{name}"\n[store]\nkind = "{store.kind}"\n{place}{credentials}'
    for broker in brokers:
        host, port = broker.split(":")
        text += (
            f'[[brokers]]\nhost = "{host}"\nport = {port}\nca_file = "{home}/pki/ca.crt"\n'
            f'cert_file = "{home}/pki/{name}.crt"\nkey_file = "{home}/pki/{name}.key"\n'
        )
    (home / f"{name}.toml").write_text(text)
    command: list[str | Path] = [sys.executable, "-m", "face_app", "subscribe", "--config", home / f"{name}.toml"]
    return Program(name, command, home / f"{name}.log")


def _edge(home: Path, number: int, name: str, hosts: Sequence[Host], stack: ExitStack) -> Edge:
    client = 100 + number
    ports = free_ports(2)
    near = Broker(f"{name}-broker", _folder(home / f"{name}-broker"), ports[0])
    forwarder = Broker(f"{name}-forwarder", _folder(home / f"{name}-forwarder"), ports[1])
    for file in ("ca.crt", f"{name}.crt", f"{name}.key"):
        (forwarder.folder / file).write_bytes((home / "pki" / file).read_bytes())
    configure_edge_broker(near, name, PASSWORD)
    cloud = [f"{host.address(client)}:{host.port}" for host in hosts]
    configure_forwarder(forwarder, name, PASSWORD, edge_port=near.port, cloud=cloud)
    programs = [broker_program(near, home), broker_program(forwarder, home)]
    for program in programs:
        stack.callback(program.stop)
        program.start()
    (home / "password").write_text(PASSWORD)
    settings = EdgeSettings(
        edge=name,
        outbox={"path": home / f"{name}.db"},
        sender={"link": "bridged", "resend_after": 2, "resend_cap": 20},
        broker={"host": "127.0.0.1", "port": near.port, "username": "face_app", "password_file": home / "password"},
    )
    outbox = stack.enter_context(Outbox(OutboxFile(path=home / f"{name}.db")))
    return Edge(name, client, outbox, stack.enter_context(Sender(settings, outbox)), programs)


@dataclass(frozen=True)
class Result:
    """Contains the figures of a run.

    Attributes:
        act: Name of the fault.
        faults: Number of them.
        faces: Committed faces.
        lost: Committed faces without an object.
        duplicated: Objects beyond one per face.
        resumed: Seconds from a fault until an edge has a receipt of a face committed after it: p50, p95, maximum.
        latency: Seconds from commit to receipt of all faces: p50, p95, maximum.
    """

    act: str
    faults: int
    faces: int
    lost: int
    duplicated: int
    resumed: tuple[float, float, float]
    latency: tuple[float, float, float]


def _kill(_site: Clouds, host: Host) -> None:
    host.kill()


def _cut_edges(site: Clouds, host: Host) -> None:
    site.cut(host, *(edge.client for edge in site.edges))


def _cut_hosts(site: Clouds, host: Host) -> None:
    others = [other for other in site.hosts if other is not host]
    site.cut(host, *(other.number for other in others))
    for other in others:
        site.cut(other, host.number)


ACTS: dict[str, Callable[[Clouds, Host], None]] = {"kill": _kill, "cut-edges": _cut_edges, "cut-hosts": _cut_hosts}


def run(home: Path, act: str, *, seconds: float, period: float, kind: str = "directory", rate: float = RATE) -> Result:
    """Let a fault act on each host in turn, for half of each period, while faces flow.

    Args:
        home: An empty folder.
        act: Key of `ACTS`.
        seconds: Duration.
        period: Seconds from one fault to the next.
        kind: Kind of the store.
        rate: Faces a second of each edge.
    """
    with clouds(home, kind=kind) as site:
        for edge in site.edges:
            edge.commit()
        site.wait()
        for edge in site.edges:
            edge.begin(rate)
        faults: list[float] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            host = site.hosts[len(faults) % len(site.hosts)]
            ACTS[act](site, host)
            faults.append(time.time())
            time.sleep(period / 2)
            site.heal()
            time.sleep(period / 2)
        for edge in site.edges:
            edge.end()
        site.wait(DRAIN_SECONDS)
        rows = site.faces()
        lost, duplicated = site.lost_and_duplicated()
        resumed = _spread(list(_resumptions(faults, site)))
        latency = _spread([settled - captured for _, captured, settled in rows])
        return Result(act, len(faults), len(rows), lost, duplicated, resumed, latency)


def _resumptions(faults: Sequence[float], site: Clouds) -> Iterator[float]:
    for edge in site.edges:
        with closing(sqlite3.connect(site.home / f"{edge.name}.db")) as outbox:
            for fault in faults:
                query = "SELECT min(settled_at) FROM faces WHERE captured_at > ?"
                yield outbox.execute(query, (fault,)).fetchone()[0] - fault


def _spread(values: list[float]) -> tuple[float, float, float]:
    ordered = sorted(values)
    return tuple(round(ordered[min(len(ordered) - 1, int(len(ordered) * part))], 2) for part in (0.5, 0.95, 1.0))  # type: ignore[return-value]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m faults.clouds", description=__doc__)
    parser.add_argument("--act", choices=[*ACTS, "all"], default="all")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--period", type=float, default=20, help="seconds from one fault to the next")
    parser.add_argument("--store", choices=["directory", "s3"], default="s3")
    parser.add_argument("--rate", type=float, default=RATE, help="faces a second of each edge")
    options = parser.parse_args()
    logging.disable()
    wrong = False
    for act in ACTS if options.act == "all" else [options.act]:
        with tempfile.TemporaryDirectory(prefix="clouds-", ignore_cleanup_errors=True) as folder:
            given = {"seconds": options.minutes * 60, "period": options.period, "rate": options.rate}
            result = run(Path(folder), act, kind=options.store, **given)
        sys.stdout.write(json.dumps(asdict(result)) + "\n")
        sys.stdout.flush()
        wrong = wrong or bool(result.lost or result.duplicated)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
