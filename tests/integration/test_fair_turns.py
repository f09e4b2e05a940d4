"""One edge floods the subscriber with the heaviest messages; an honest edge beside it has all its faces stored."""

import itertools
import os
import statistics
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from face_app.common.wire import load_receipts
from support.faces import drawn_face
from support.heavy import HEAVY
from support.mosquitto import OPEN, mosquitto
from support.processes import process

LIMITS = ("max_packet_size 5500000", "max_queued_messages 2000", "memory_limit 2000000000")
"""Of the role's broker, the first one; a larger message ends its connection."""
FACES = 150
"""Faces of the honest edge; one every 50 ms."""
RESEND_SECONDS = 2.0
"""Seconds after which the honest edge sends a face again, as its outbox does."""
EACH_RUN = ("", "many scans")
"""Attacks outside the full tier."""
MAX_MEGABYTES = 900
"""Bound of the subscriber and its decoders together, generous; measured: 250 to 450."""


class Honest:
    """An edge that sends each face until it has a receipt, and measures how long that takes."""

    def __init__(self, port):
        self.sent, self.seconds, self.resent = {}, {}, 0
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="honest", protocol=paho.MQTTv5)
        self.client.max_inflight_messages_set(500)
        self.client.on_connect = lambda client, *_: client.subscribe("receipts/honest/#", qos=1)
        self.client.on_message = self.received
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def received(self, _client, _userdata, message):
        for receipt in load_receipts(bytes(message.payload)):
            assert receipt.result == "stored"
            self.seconds.setdefault(receipt.id, time.monotonic() - self.sent[receipt.id])

    def send(self, count):
        """Send faces at their pace, then wait until each has its receipt."""
        faces = [drawn_face(number, edge="honest") for number in range(1, count + 1)]
        unsent, due, by_id = iter(faces), {}, {face.id: face for face in faces}
        while len(self.seconds) < count:
            now = time.monotonic()
            for face in itertools.islice(unsent, 1):
                self.sent[face.id] = now
                due[face.id] = now
            for face_id, at in due.items():
                if face_id not in self.seconds and now >= at:
                    self.resent += at != self.sent[face_id]
                    due[face_id] = now + RESEND_SECONDS
                    self.publish(by_id[face_id])
            assert now - self.sent[faces[0].id] < 300, f"{len(self.seconds)} of {count} faces have a receipt"
            time.sleep(0.05)
        return faces

    def publish(self, face):
        self.client.publish(face.topic, face.payload, qos=1)


def memory(pid):
    """Resident megabytes of a process and its children."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    children = [child for thread in threads if thread.exists() for child in thread.read_text().split()]
    found = 0.0
    for each in (pid, *children):
        status = Path(f"/proc/{each}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        found += sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
    return found


@contextmanager
def watched(pid):
    """Collect the highest memory of a process and its children."""
    highest, stop = [0.0], threading.Event()

    def run():
        while not stop.wait(0.1):
            highest[0] = max(highest[0], memory(pid))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield highest
    finally:
        stop.set()
        thread.join()


# The others prove the same with other loads.
@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(
            attack, id=attack.replace(" ", "-") or "none", marks=() if attack in EACH_RUN else pytest.mark.full
        )
        for attack in ("", *HEAVY)
    ],
)
def test_an_honest_edge_beside_a_hostile_one(tmp_path, attack, record_property):
    store = tmp_path / "store"
    store.mkdir()
    config = tmp_path / "cloud.toml"
    with mosquitto([*OPEN, *LIMITS]) as broker:
        config.write_text(
            f'[store]\nkind = "directory"\npath = "{store}"\n[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n'
        )
        command = [sys.executable, "-m", "face_app", "subscribe", "--config", config]
        log = tmp_path / "log"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        with process(command, log, env=environment) as subscriber, watched(subscriber.pid) as highest:
            deadline = time.monotonic() + 60
            while "Sending SUBACK" not in broker.log.read_text():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            honest, sizes = Honest(broker.port), tmp_path / "sizes"
            hostile = [sys.executable, *(["-m", "support.heavy", str(broker.port), attack] if attack else ["-V"])]
            with process(hostile, sizes, env=environment):
                while attack and len(sizes.read_text().split()) < 5:
                    assert time.monotonic() < deadline + 60
                    time.sleep(0.05)
                faces = honest.send(FACES)
            assert subscriber.poll() is None
            honest.client.loop_stop()
    assert all((store / face.key).read_bytes() == face.payload for face in faces)
    sent = [int(size) for size in sizes.read_text().split() if size.isdigit()]
    p99 = statistics.quantiles(honest.seconds.values(), n=100)[98]
    figures = {
        "p50_seconds": round(statistics.median(honest.seconds.values()), 3),
        "p99_seconds": round(p99, 3),
        "resent": honest.resent,
        "hostile_messages": len(sent),
        "hostile_megabytes": sum(sent) // 1_000_000,
        "memory_megabytes": round(highest[0]),
    }
    for name, value in figures.items():
        record_property(name, value)
    sys.stdout.write(f"{attack or 'no attack'}: {figures}\n")  # shown with -rP
    assert highest[0] < MAX_MEGABYTES
