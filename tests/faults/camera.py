"""Commits drawn faces in a process of its own that can be killed, and logs every commit.

The log, not the outbox, proves which faces were committed: a line `meant` precedes a commit, a line `committed` follows
it, and each line is forced to disk. With ``--forget`` a PUBACK drops a face, as in a program without receipts.
"""

import argparse
import os
import random
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from paho.mqtt.reasoncodes import ReasonCode
from typing_extensions import override

from face_app.common.errors import OutboxUnavailableError
from face_app.common.settings import EdgeSettings, load
from face_app.common.wire import FaceId, Receipt
from face_app.edge import metrics
from face_app.edge.commands.stop import stop_on_signals
from face_app.edge.health.health import serve_health_endpoint
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.records import NewFace
from face_app.edge.uplink import sender as sender_module
from face_app.edge.uplink.dispatcher import Dispatcher
from face_app.edge.uplink.sender import Sender
from support.new_faces import new_face


class Log:
    """Writes lines that survive a kill and a power cut."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")

    def write(self, *lines: str) -> None:
        self._file.writelines(f"{line}\n" for line in lines)
        self._file.flush()
        os.fsync(self._file.fileno())


class ForgetfulDispatcher(Dispatcher):
    """Treats the broker's PUBACK as a receipt. It is the negative control: this loses faces."""

    @override
    def acknowledged(self, message: int, reason: ReasonCode) -> None:
        row = self._window._unacknowledged.get(message)
        super().acknowledged(message, reason)
        if row is None or reason.is_failure:
            return
        ((face, sha256),) = self._outbox._read("SELECT id, sha256 FROM faces WHERE row = ?", (row,))
        self._outbox.apply_receipts([Receipt(FaceId.parse(face), sha256, "", datetime.now(timezone.utc), "stored")])
        self._window.discard(row)


def faces(settings: EdgeSettings, chance: random.Random) -> list[NewFace]:
    def one() -> NewFace:
        size, score = chance.choice([150, 200, 300, 500]), round(chance.random(), 3)
        return new_face(settings.camera.name, size=size, score=score, edge=settings.edge)

    return [one() for _ in range(chance.choice([1, 1, 2, 3]))]


def next_ids(outbox: Outbox, count: int) -> list[FaceId]:
    """Predict the ids of the next faces: no other process appends to this outbox."""
    ((last,),) = outbox._read("SELECT sequence FROM outbox")
    return [FaceId(outbox.id, last + number) for number in range(1, count + 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("--rate", type=float, default=20, help="faces a second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--forget", action="store_true")
    options = parser.parse_args()
    settings = load(EdgeSettings, options.config, {})
    chance, log = random.Random(options.seed), Log(options.log)
    if options.forget:
        sender_module.Dispatcher = ForgetfulDispatcher  # type: ignore[misc]
    with (
        stop_on_signals() as stop,
        Outbox(settings.outbox) as outbox,
        Sender(settings, outbox) as sender,
        serve_health_endpoint(settings.metrics, outbox, sender),
    ):
        due = time.monotonic()
        while not stop.is_set():
            new = faces(settings, chance)
            while not stop.is_set():
                try:
                    expected = next_ids(outbox, len(new))
                    log.write(*(f"meant {face_id}" for face_id in expected))
                    committed = outbox.append(new)
                except OutboxUnavailableError as error:
                    sys.stderr.write(f"{error}\n")
                    stop.wait(0.5)
                    continue
                assert [face.id for face in committed] == expected
                log.write(*(f"committed {face.id} {face.sha256}" for face in committed))
                sender.wake()
                break
            sender.check()
            log.write(f"resent {os.getpid()} {int(metrics.RESENT._value.get())}")
            due = max(due + len(new) / options.rate, time.monotonic() - 1)
            stop.wait(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
