"""The heaviest messages that one edge can send; none shows a person. Each generator never ends.

``python -m support.heavy PORT ATTACK`` sends them to a broker of the loopback, as fast as it takes them.
"""

import functools
import io
import itertools
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from PIL import Image, ImageFile

from face_app.common.metadata import write_metadata
from face_app.common.wire import FaceId, FaceTopic
from support.faces import drawn_face

_DRAWN = drawn_face(edge="hostile")


def _encoded(image: Image.Image, **options: object) -> bytes:
    before, ImageFile.MAXBLOCK = ImageFile.MAXBLOCK, 2**28  # progressive files need a buffer for the whole image
    try:
        file = io.BytesIO()
        image.save(file, "JPEG", **options)
        return file.getvalue()
    finally:
        ImageFile.MAXBLOCK = before


def _faces(image: bytes) -> Iterator[bytes]:
    """Faces with this picture; each has another id, so no copy is recognised."""
    outbox = f"{random.getrandbits(32):08x}"
    for number in itertools.count(1):
        face_id = FaceId(outbox, number)
        yield write_metadata(image, face_id, replace(_DRAWN.metadata, track=number))


@functools.cache
def scanned(size: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    image = _encoded(Image.new("RGB", (size, size)), progressive=True)
    count = scans - image.count(b"\xff\xda")
    return image[:-2] + image[image.rfind(b"\xff\xda") : -2] * count + image[-2:]


@functools.cache
def noise(size: int) -> bytes:
    """A progressive JPEG of noise: the slowest bytes."""
    image = Image.frombytes("RGB", (size, size), random.Random(1).randbytes(3 * size * size))
    return _encoded(image, progressive=True, quality=90)


def _garbage() -> Iterator[bytes]:
    while True:
        yield b"\xff\xd8" + os.urandom(5_000_000)


HEAVY: dict[str, Callable[[], Iterator[bytes]]] = {
    "many pixels": lambda: _faces(scanned(3999, 10)),
    "many scans": lambda: _faces(scanned(1500, 64)),
    "too many scans": lambda: _faces(scanned(3999, 64)),
    "many bytes": lambda: _faces(noise(2400)),
    "garbage": _garbage,
    "small": lambda: _faces(_encoded(Image.new("RGB", (64, 64)))),
}
"""Attacks by name."""


def flood(port: int, attack: str) -> None:
    """Publish until the process ends, with few messages in memory at a time; write the size of each."""
    room = threading.Semaphore(20)
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="hostile", protocol=paho.MQTTv5)
    client.on_publish = lambda *_: room.release()
    client.connect("127.0.0.1", port)
    client.loop_start()
    for payload in HEAVY[attack]():
        room.acquire()
        client.publish(str(FaceTopic("hostile", "door")), payload, qos=1)
        sys.stdout.write(f"{len(payload)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    flood(int(sys.argv[1]), sys.argv[2])
