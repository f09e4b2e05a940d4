"""Publishes copies of earlier faces to the edge's broker, in random order."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


@contextmanager
def copies(port: int, edge: str, password: str, seed: int, *, every: float = 0.03) -> Iterator[list[int]]:
    """Subscribe as the forwarder does, and publish one of the last 200 faces again every `every` seconds.

    Yields:
        A list with one number: the copies so far.
    """
    chance, latest, count, stop = random.Random(seed), list[tuple[str, bytes]](), [0], threading.Event()

    def remember(_client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        latest.append((message.topic, bytes(message.payload)))
        del latest[:-200]

    listener, sender = (
        paho.Client(CallbackAPIVersion.VERSION2, client_id=f"copies-{role}") for role in ("listener", "sender")
    )
    listener.username_pw_set("forwarder", password)
    listener.on_connect = lambda client, *_: client.subscribe(f"face_app/{edge}/#", qos=1)
    listener.on_message = remember
    sender.username_pw_set("face_app", password)

    def send() -> None:
        while not stop.wait(every):
            if latest and sender.is_connected():
                sender.publish(*chance.choice(latest), qos=1)
                count[0] += 1

    thread = threading.Thread(target=send, daemon=True)
    for client in (listener, sender):
        client.connect("127.0.0.1", port)
        client.loop_start()
    thread.start()
    try:
        yield count
    finally:
        stop.set()
        thread.join()
        for client in (listener, sender):
            client.disconnect()
            client.loop_stop()
