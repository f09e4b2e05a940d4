"""A subscriber that dies and never returns delays faces of honest edges, and loses none."""

import os
import sys
import time
from contextlib import contextmanager

from face_app.common.settings import EdgeSettings, OutboxFile
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.uplink.sender import Sender
from support.mosquitto import mosquitto
from support.new_faces import new_face
from support.processes import process
from support.waiting import until

FACES = 150


@contextmanager
def subscriber(name, port, folder):
    """Run `face-app subscribe` with a directory that all subscribers share."""
    store = folder / "store"
    store.mkdir(exist_ok=True)
    config = folder / f"{name}.toml"
    config.write_text(
        f'subscriber = "{name}"\n[store]\nkind = "directory"\npath = "{store}"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {port}\n'
    )
    command = [sys.executable, "-m", "face_app", "subscribe", "--config", config]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with process(command, folder / f"{name}.log", env=environment) as running:
        until(lambda: "connected to broker" in (folder / f"{name}.log").read_text())
        yield running


def test_all_faces_are_stored_while_one_of_two_subscribers_stays_dead(tmp_path):
    path = tmp_path / "outbox.db"
    with (
        mosquitto() as broker,
        subscriber("s1", broker.port, tmp_path) as victim,
        subscriber("s2", broker.port, tmp_path),
        Outbox(OutboxFile(path=path)) as outbox,
    ):
        settings = EdgeSettings(edge="jetson", outbox={"path": path}, broker={"host": "127.0.0.1", "port": broker.port})
        with Sender(settings, outbox) as sender:
            outbox.append([new_face() for _ in range(20)])
            sender.wake()
            until(lambda: outbox.run_counts().stored == 20)
            victim.kill()
            victim.wait()
            for _ in range(FACES):
                outbox.append([new_face()])
                sender.wake()
                time.sleep(0.1)
            until(lambda: outbox.run_counts().waiting == 0, 180)
    assert len(list((tmp_path / "store/jetson").rglob("*.jpg"))) == FACES + 20
