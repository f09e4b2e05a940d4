"""Attacks the cloud's broker as an edge with a valid certificate of its own.

`python -m faults.attacks NAME PORT FOLDER` attacks until it is stopped; the name `random` draws attacks, one after the
other. The folder contains the certificate.
"""

import argparse
import random
import resource
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count, cycle, repeat
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from face_app.common.metadata import write_metadata
from face_app.common.wire import FaceId
from face_app.edge.commands.stop import stop_on_signals
from fuzz.seeds import hidden_scans, scans
from support.faces import drawn_face

EDGE = "hostile"
"""Name in the certificate of the attacker."""
GROUPS = ("face-app", "face_app", "faces", "group", "shared", "subscriber", "subscribers", "subscriber-1", EDGE)
"""Names that an attacker would guess for the group of the subscribers; the first is the default of the setting."""
CLIENT_IDS = ("subscriber-subscriber-1", "subscriber-subscriber-2", "subscriber-1", "subscriber-2", "jetson", "health")
BEGUN = "the attack has begun"
SESSIONS = 30
"""Sessions of the attack on the group. Mosquitto gives each session a turn."""
SENDERS = 4
"""Clients that publish side by side."""
CONNECTIONS = 1500
"""Silent connections: more than the 1,024 files that a container may have open by default."""
LONGEST = 0xFFFFFFFE
"""Maximum of MQTT's session expiry, in seconds: 136 years."""
SIDE, SCANS = 7000, 50
"""Pixels of a side, and repeated scans, of the heavy image: just below the limits of the first releases."""
COLLIDING = Path(__file__).with_name("colliding.jpg")
"""A valid face of the attacker. `TAILS` follow its end: the SHA-256 of both files begin with the same 12 digits."""
TAILS = ((9_242_871).to_bytes(4, "big"), (9_885_216).to_bytes(4, "big"))


@dataclass(frozen=True)
class Message:
    """Contains one publication of an attacker."""

    topic: str
    payload: bytes
    retain: bool = False
    qos: int = 1


@dataclass(frozen=True)
class Target:
    """Contains what an attacker knows.

    Attributes:
        port: Port of the cloud's broker on the loopback.
        folder: Folder with the authority's certificate, and with that of the attacker.
    """

    port: int
    folder: Path

    @contextmanager
    def client(self, name: str = "", *, expiry: int = 0, seconds: float = 10) -> Iterator[paho.Client]:
        """Connect with the attacker's certificate. The client reconnects by itself.

        Args:
            name: Client id; empty: the broker draws one.
            expiry: Seconds for which the broker retains the session after the end.
            seconds: Seconds to wait for the connection.
        """
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv5)
        client.tls_set(f"{self.folder}/ca.crt", f"{self.folder}/{EDGE}.crt", f"{self.folder}/{EDGE}.key")
        client.reconnect_delay_set(0.2, 1)
        client.max_queued_messages_set(SESSIONS)
        connected = threading.Event()
        client.on_connect = lambda *_: connected.set()
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = expiry
        client.connect_async("127.0.0.1", self.port, keepalive=10, properties=properties)
        client.loop_start()
        connected.wait(seconds)
        try:
            yield client
        finally:
            client.disconnect()
            client.loop_stop()


def begin() -> None:
    """Report that the attack acts from now on."""
    sys.stdout.write(f"{BEGUN}\n")
    sys.stdout.flush()


Attack = Callable[[Target, threading.Event], None]


def share_group(target: Target, stop: threading.Event) -> None:
    """Take turns in the group of the subscribers. The broker grants the subscription and delivers nothing."""
    with ExitStack() as stack:
        for number in range(SESSIONS):
            client = stack.enter_context(target.client(f"{EDGE}-share-{number}", expiry=LONGEST))
            for topic in ("face_app/#", "face_app/+/+", "#"):
                client.subscribe([(f"$share/{group}/{topic}", 1) for group in GROUPS])
            client.subscribe([("face_app/#", 1), ("$SYS/#", 1)])
        begin()
        stop.wait()


def steal_client_ids(target: Target, stop: threading.Event) -> None:
    """Connect with the client ids of others, which ends their connections."""
    begin()
    for name in cycle(CLIENT_IDS):
        with target.client(name, seconds=1):
            if stop.wait(0.05):
                return


def send_hidden_scans(target: Target, stop: threading.Event) -> None:
    """Send small files with scans behind a marker, which a parser of segments may not see."""
    images = [hidden_scans(marker, 400, SIDE) for marker in (0xD0, 0x01, 0x00)]
    _flood(target, stop, lambda sender: _faces(cycle(images), sender), every=0.5)


def send_heavy_images(target: Target, stop: threading.Event) -> None:
    """Send valid images that cost seconds of a core each."""
    image = scans(SCANS, SIDE)
    _flood(target, stop, lambda sender: _faces(repeat(image), sender), every=0.5)


def fill_memory(target: Target, stop: threading.Event) -> None:
    """Send large messages, retained ones on ever new topics, and states on topics of many levels."""
    large = random.Random(0).randbytes(5_000_000)
    deep = "/".join("a" * 100)

    def messages(sender: int) -> Iterator[Message]:
        for number in count():
            yield Message(f"face_app/{EDGE}/camera-{sender}-{number}", large[: 1_000_000 + number], retain=True)
            yield Message(f"status/{EDGE}/camera-{sender}-{number}", large[:10_000], retain=True)
            yield Message(f"status/{EDGE}/{sender}/{number}/{deep}", b"1", retain=True)
            yield Message(f"face_app/{EDGE}/door", large[number % 256 :])

    _flood(target, stop, messages, every=0.01)


def flood_quarantine(target: Target, stop: threading.Event) -> None:
    """Send many files that are no images."""

    def messages(sender: int) -> Iterator[Message]:
        chance = random.Random(sender)
        while True:
            yield Message(f"face_app/{EDGE}/door", chance.randbytes(chance.choice([100, 100, 20_000, 500_000])))

    _flood(target, stop, messages, every=0)


def flood_without_acknowledgement(target: Target, stop: threading.Event) -> None:
    """Publish messages and states at QoS 0, empty and large ones: no receive window limits them."""
    large = random.Random(0).randbytes(200_000)

    def messages(sender: int) -> Iterator[Message]:
        for number in count():
            yield Message(f"face_app/{EDGE}/door", large[: number % 2 * len(large)], qos=0)
            yield Message(f"status/{EDGE}/camera-{sender}-{number}", b'{"state": "online"}', qos=0)
            yield Message(f"status/{EDGE}/door", large[:10_000], qos=0)

    _flood(target, stop, messages, every=0)


def connect_silently(target: Target, stop: threading.Event) -> None:
    """Open many TCP connections, send nothing, and reopen those that the broker ends. No certificate is needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * CONNECTIONS)), hard))
    connections: list[socket.socket] = []
    try:
        while True:
            connections = [each for each in connections if _is_open(each)]
            for _ in range(CONNECTIONS - len(connections)):
                with suppress(OSError):
                    connections.append(socket.create_connection(("127.0.0.1", target.port), timeout=0.2))
            begin()
            if stop.wait(0.2):
                return
    finally:
        for each in connections:
            each.close()


def overwrite_own_faces(target: Target, stop: threading.Event) -> None:
    """Send two files of one face whose keys are equal, in turn."""
    face = COLLIDING.read_bytes()
    files = [Message(f"face_app/{EDGE}/door", face + tail) for tail in TAILS]
    _flood(target, stop, lambda sender: cycle(files), every=0.5)


ATTACKS: dict[str, Attack] = {
    "shared group": share_group,
    "client ids": steal_client_ids,
    "hidden scans": send_hidden_scans,
    "heavy images": send_heavy_images,
    "memory": fill_memory,
    "quarantine": flood_quarantine,
    "qos 0": flood_without_acknowledgement,
    "silent connections": connect_silently,
    "own faces": overwrite_own_faces,
}


def attack_at_random(target: Target, stop: threading.Event, chance: random.Random) -> None:
    """Draw attacks one after the other, of some seconds each."""
    while not stop.is_set():
        attack, ended = chance.choice(list(ATTACKS.values())), threading.Event()
        thread = threading.Thread(target=attack, args=(target, ended))
        thread.start()
        stop.wait(chance.uniform(3, 20))
        ended.set()
        thread.join()


def _faces(images: Iterable[bytes], sender: int) -> Iterator[Message]:
    """Yield images with the metadata of faces of the attacker, each with a number of its own."""
    face = drawn_face(1, edge=EDGE)
    for number, image in enumerate(images, 1):
        metadata = replace(face.metadata, track=number)
        yield Message(face.topic, write_metadata(image, FaceId(f"{sender:08x}", number), metadata))


def _flood(
    target: Target, stop: threading.Event, messages: Callable[[int], Iterable[Message]], *, every: float
) -> None:
    """Let several clients publish, each as fast as the broker acknowledges; `every` adds a pause."""

    def send(sender: int) -> None:
        with target.client() as client:
            for message in messages(sender):
                with suppress(ValueError, RuntimeError):  # the queue is full, or there is no connection
                    client.publish(message.topic, message.payload, message.qos, message.retain).wait_for_publish(5)
                if stop.wait(every):
                    return

    begin()
    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return bool(connection.recv(1))
    except BlockingIOError:
        return True
    except OSError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*ATTACKS, "random"])
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    target = Target(options.port, options.folder)
    with stop_on_signals() as stop:
        if options.name == "random":
            attack_at_random(target, stop, random.Random(options.seed))
        else:
            ATTACKS[options.name](target, stop)


if __name__ == "__main__":
    main()
