"""The chain with face-app: from an outbox through the same brokers into the store, with a receipt each."""

import os
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

from bench.payloads import fill
from bench.raw_chain import edge_client
from face_app.common.health_server import fetch_health
from face_app.common.settings import Metrics
from face_app.common.wire import load_receipts
from support.chain import EDGE
from support.processes import process

PATIENCE = 300.0
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(running: Popen[bytes]) -> float:
    """Return the CPU time of a process and its children, such as decoders, until now."""
    tasks = Path(f"/proc/{running.pid}/task")
    children = [pid for file in tasks.glob("*/children") for pid in file.read_text().split()]
    return sum(map(_own_cpu_seconds, [str(running.pid), *children]))


def _own_cpu_seconds(pid: str) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Receipts:
    """Counts faces whose receipt has come to the edge's broker."""

    def __init__(self, port: int) -> None:
        self._faces: set[object] = set()
        self._changed = threading.Condition()
        self._client = edge_client(port)
        self._client.on_message = self._arrived
        self._client.subscribe(f"receipts/{EDGE}/#")

    def _arrived(self, _client: object, _userdata: object, message) -> None:
        with self._changed:
            self._faces |= {each.id for each in load_receipts(message.payload) if each.result == "stored"}
            self._changed.notify_all()

    def wait_for(self, count: int) -> float:
        """Wait until so many faces have one and return the time."""
        with self._changed:
            complete = self._changed.wait_for(lambda: len(self._faces) >= count, PATIENCE)
            assert complete, f"receipts for {len(self._faces)} faces of {count}"
            return time.monotonic()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def faces_per_second(
    home: Path, edge_port: int, metrics: int, count: int, others: dict[str, Popen[bytes]]
) -> tuple[float, dict[str, float]]:
    """Fill the outbox, send it, and stop the clock at the last receipt.

    Args:
        home: Folder of `support.chain.write_settings`.
        edge_port: Of the edge's broker.
        metrics: The subscriber's port.
        count: How many faces.
        others: Other processes to measure.

    Returns:
        Faces a second, and milliseconds of CPU a face, by process.
    """
    fill(home / "outbox.db", count)
    program = [sys.executable, "-m", "face_app"]
    with ExitStack() as stack:
        subscribe = [*program, "subscribe", "--config", str(home / "cloud.toml")]
        subscriber = stack.enter_context(process(subscribe, home / "subscribe.log"))
        wait_until_ready(metrics, home / "subscribe.log")
        receipts = Receipts(edge_port)
        stack.callback(receipts.close)
        measured = {"subscriber": subscriber, **others}
        before = {name: cpu_seconds(each) for name, each in measured.items()}
        send = [*program, "send", "--config", str(home / "edge.toml"), "--until-empty"]
        sender = stack.enter_context(Popen(send, stdin=DEVNULL, stderr=PIPE))
        assert sender.stderr
        for line in sender.stderr:
            if b"connected to broker" in line:
                break
        measured["sender"], before["sender"] = sender, cpu_seconds(sender)
        began = time.monotonic()
        ended = receipts.wait_for(count)
        spent = {name: 1000 * (cpu_seconds(each) - before[name]) / count for name, each in measured.items()}
        sender.stderr.read()
        assert sender.wait(60) == 0
    return count / (ended - began), spent


def wait_until_ready(port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while not (state := fetch_health(Metrics(port=port))).ready:
        assert time.monotonic() < deadline, f"{state.reason}; see {log}"
        time.sleep(0.1)
