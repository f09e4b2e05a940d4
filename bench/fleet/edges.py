"""Simulated edges: the product's own outbox and sender, a certificate each, and one TLS connection to the cloud."""

import json
import logging
import multiprocessing
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from itertools import cycle
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from bench.payloads import CAMERA, face
from face_app.common.ledger_file import write_ledger
from face_app.common.settings import EdgeSettings
from face_app.common.wire import status_topic
from face_app.edge.health import status_publisher
from face_app.edge.outbox.export import export_ledger
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.uplink import sender as sender_module
from face_app.edge.uplink.sender import Sender

PER_PROCESS = 80
"""Edges in one process: paho waits with `select`, which knows no file descriptor above 1023."""
IDLE_SECONDS = 5.0
"""Seconds in place of 0.2 and 1 between two idle rounds of a sender and of its client. Each face wakes both, as in
`capture`, so idle rounds only make resends later; those of a thousand edges would take a core from the cloud."""
NICE = 19
"""Priority of the edges below the cloud's: each box has cores of its own. At the same priority hundreds of threads of
edges leave the broker, which has one, a few percent of a core; then it is silent for longer than a keepalive."""
KEEPALIVE = 300
"""Seconds in place of 15: an edge that waits for a core must not be taken for dead."""
HANDSHAKE_SECONDS = 60.0
"""Maximum seconds of a connect and of a TLS handshake, in place of 5, for the same reason."""
_handshake = threading.Lock()
"""One TLS handshake in a process at a time: a thousand at once on few cores are all too slow for their time limit."""
PATIENCE = 300.0


@dataclass(frozen=True)
class Plan:
    """What the edges of one process need: names, folder of outboxes and certificates, port of the broker."""

    names: tuple[str, ...]
    home: Path
    certificates: Path
    port: int


@dataclass(frozen=True)
class Flow:
    """What a flow was: faces, and the seconds from capture to receipt of each that has one."""

    faces: int
    delays: tuple[float, ...]


class Edge:
    """One box: outbox, sender, and its state, which the sender's connection carries as a forwarder would."""

    def __init__(self, name: str, plan: Plan) -> None:
        identity = {"ca_file": "ca.crt", "cert_file": f"{name}.crt", "key_file": f"{name}.key"}
        files = {key: plan.certificates / file for key, file in identity.items()}
        settings = EdgeSettings.model_validate(
            {
                "edge": name,
                "camera": {"name": CAMERA},
                "outbox": {"path": plan.home / f"{name}.db"},
                "broker": {"host": "127.0.0.1", "port": plan.port, "keepalive": KEEPALIVE, **files},
            }
        )
        self.name = name
        self.outbox = Outbox(settings.outbox)
        self.sender = Sender(settings, self.outbox)
        self.connection._client.connect_timeout = HANDSHAKE_SECONDS
        self._new = face()
        self._published: object = None
        self._published_at = 0.0

    @property
    def connection(self) -> Any:
        return self.sender._connection

    def capture(self) -> None:
        metadata = replace(self._new.metadata, edge=self.name, captured_at=datetime.now(timezone.utc))
        self.outbox.append([replace(self._new, metadata=metadata)])
        self.sender.wake()

    def publish_status(self) -> None:
        """Publish the state if it changed, as often as `StatusPublisher` does, whose facts have this size."""
        now = time.monotonic()
        if now - self._published_at < status_publisher.POLL_SECONDS:
            return
        connection, mark = self.connection, self.outbox.mark()
        change = (connection.epoch, mark)
        if connection.connected and change != self._published:
            state = {"state": "online", "problem": "", "facts": "-" * 500, **({"outbox": asdict(mark)} if mark else {})}
            if connection.publish_retained(status_topic(self.name, CAMERA), json.dumps(state).encode()):
                self._published, self._published_at = change, now

    def delays(self, since: float) -> Iterator[float]:
        query = "SELECT settled_at - captured_at FROM faces WHERE state = 'stored' AND captured_at >= ?"
        with closing(sqlite3.connect(self.outbox.path)) as rows:
            yield from (seconds for (seconds,) in rows.execute(query, [since]))


class Group:
    """The edges of one process."""

    def __init__(self, plan: Plan) -> None:
        self._home = plan.home
        self._edges = [Edge(name, plan) for name in plan.names]
        self._turns = cycle(self._edges)

    def connect(self) -> float:
        for edge in self._edges:
            edge.sender.__enter__()
        return self.wait_until_connected(0)

    def wait_until_connected(self, epoch: int) -> float:
        """Wait until each has subscribed in a later epoch than this one; return the time."""
        deadline = time.monotonic() + PATIENCE
        while away := [e.name for e in self._edges if not (e.connection.subscribed and e.connection.epoch > epoch)]:
            assert time.monotonic() < deadline, f"{len(away)} edges are not connected, such as {away[0]}"
            time.sleep(0.05)
        at = time.monotonic()
        self.publish()
        return at

    def epoch(self) -> int:
        return max(edge.connection.epoch for edge in self._edges)

    def publish(self) -> None:
        for edge in self._edges:
            edge.publish_status()

    def flow(self, rate: float, faces: int) -> Flow:
        """Capture faces at a rate, the edges in turn; wait until each has its receipt."""
        began, since = time.monotonic(), time.time()
        for number, edge in zip(range(faces), self._turns):  # noqa: B905 - the second is endless
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            edge.capture()
            edge.publish_status()
        deadline = time.monotonic() + PATIENCE
        for edge in self._edges:
            while waiting := edge.outbox.backlog()[0]:
                assert time.monotonic() < deadline, f"{waiting} faces of {edge.name} wait: {edge.sender.state.obstacle}"
                time.sleep(0.1)
        return Flow(faces, tuple(delay for edge in self._edges for delay in edge.delays(since)))

    def ledgers(self) -> list[Path]:
        files = []
        for edge in self._edges:
            files.append(self._home / f"{edge.name}.ledger")
            with export_ledger(edge.outbox, edge.name) as ledger, files[-1].open("wb") as file:
                write_ledger(ledger, file)
        return files

    def stop(self) -> None:
        for edge in self._edges:
            edge.sender._stop.set()
        for edge in self._edges:
            edge.sender.__exit__(None, None, None)
            edge.outbox.__exit__(None, None, None)


def _spare_the_machine() -> None:
    """Let hundreds of edges in one process leave the cores to the cloud."""
    sender_module.POLL_SECONDS = IDLE_SECONDS
    create, loop = paho.Client._create_socket, paho.Client.loop_forever

    def create_in_turn(client: paho.Client) -> Any:
        with _handshake:
            return create(client)

    paho.Client._create_socket = create_in_turn  # type: ignore[method-assign]
    paho.Client.loop_forever = lambda client, **more: loop(client, IDLE_SECONDS, **more)  # type: ignore[method-assign]


def _serve(plan: Plan, calls: Any) -> None:
    logging.basicConfig(filename=plan.home / "edges.log", level=logging.WARNING)
    _spare_the_machine()
    group = Group(plan)
    os.nice(NICE)
    calls.send(None)
    while True:
        name, arguments = calls.recv()
        calls.send(getattr(group, name)(*arguments))
        if name == "stop":
            return


class Fleet:
    """All edges, in processes; each method of `Group` runs in all of them at once."""

    def __init__(self, names: Sequence[str], home: Path, certificates: Path, port: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._calls, self.processes = [], []
        for first in range(0, len(names), PER_PROCESS):
            ours, theirs = context.Pipe()
            plan = Plan(tuple(names[first : first + PER_PROCESS]), home, certificates, port)
            self.processes.append(context.Process(target=_serve, args=(plan, theirs), daemon=True))
            self.processes[-1].start()
            theirs.close()
            self._calls.append(ours)
        self._answers()

    def __call__(self, method: str, *arguments: Any) -> list[Any]:
        self.begin(method, *arguments)
        return self._answers()

    def begin(self, method: str, *arguments: Any) -> None:
        for calls in self._calls:
            calls.send((method, arguments))

    def _answers(self) -> list[Any]:
        return [calls.recv() for calls in self._calls]

    def flow(self, rate: float, faces: int) -> Flow:
        """Share a rate and a number of faces among the processes; wait until all have receipts."""
        share = len(self._calls)
        flows = self("flow", rate / share, -(-faces // share))
        return Flow(sum(each.faces for each in flows), tuple(delay for each in flows for delay in each.delays))


@contextmanager
def fleet(names: Sequence[str], home: Path, certificates: Path, port: int) -> Iterator[Fleet]:
    running = Fleet(names, home, certificates, port)
    try:
        yield running
        running("stop")
    finally:
        for process in running.processes:
            process.terminate()
            process.join(10)
