"""The chain without face-app: paho, the brokers and bridges of the roles, paho. No outbox, no store, no receipt."""

import multiprocessing
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bench.payloads import CAMERA, payload
from support.chain import EDGE, PASSWORD

OUTSTANDING = 200
"""Messages without a PUBACK, as many as the window of face-app; paho has 100 of them in flight, as face-app does."""


def edge_client(port: int) -> paho.Client:
    """Connect a client with the password of the edge's own broker."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.username_pw_set("face_app", PASSWORD)
    client.max_inflight_messages_set(100)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def wait_for_link(port: int) -> None:
    """Wait until both hops of the uplink are open."""
    open_hops, opened = set(), threading.Event()

    def received(_client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        (open_hops.add if message.payload == b"1" else open_hops.discard)(message.topic)
        if len(open_hops) == 2:
            opened.set()

    client = edge_client(port)
    client.on_message = received
    client.subscribe(f"link/{EDGE}/#")
    assert opened.wait(60), f"open are only {open_hops}"
    client.disconnect()
    client.loop_stop()


def messages_per_second(edge_port: int, cloud_port: int, certificates: Path, count: int) -> float:
    """Publish at the edge and count in the cloud, in two processes."""
    context = multiprocessing.get_context("spawn")
    ready, times = context.Barrier(3), context.Queue()
    both = [
        context.Process(target=_subscribe, args=(cloud_port, certificates, count, ready, times), daemon=True),
        context.Process(target=_publish, args=(edge_port, count, ready, times), daemon=True),
    ]
    for each in both:
        each.start()
    ready.wait(60)
    began, ended = sorted(times.get(timeout=300) for _ in both)
    for each in both:
        each.join(30)
    return count / (ended - began)


def _publish(port: int, count: int, ready: Any, times: Any) -> None:
    payloads, room = [payload(number) for number in range(1, count + 1)], threading.Semaphore(OUTSTANDING)
    client = edge_client(port)
    client.on_publish = lambda *_: room.release()
    ready.wait(60)
    began = time.monotonic()
    for each in payloads:
        room.acquire()
        client.publish(f"face_app/{EDGE}/{CAMERA}", each, qos=1)
    for _ in range(OUTSTANDING):
        room.acquire()
    times.put(began)
    client.disconnect()
    client.loop_stop()


def _subscribe(port: int, certificates: Path, count: int, ready: Any, times: Any) -> None:
    left, done, subscribed = count, threading.Event(), threading.Event()

    def arrived(*_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            times.put(time.monotonic())
            done.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="raw", protocol=paho.MQTTv5)
    files = {"ca_certs": "ca.crt", "certfile": "subscriber-1.crt", "keyfile": "subscriber-1.key"}
    client.tls_set(**{name: str(certificates / file) for name, file in files.items()})
    client.on_message, client.on_subscribe = arrived, lambda *_: subscribed.set()
    properties = Properties(PacketTypes.CONNECT)
    properties.ReceiveMaximum = OUTSTANDING
    client.connect("127.0.0.1", port, properties=properties)
    client.loop_start()
    client.subscribe(f"face_app/{EDGE}/{CAMERA}", qos=1)
    assert subscribed.wait(20)
    ready.wait(60)
    assert done.wait(300), f"{left} of {count} messages did not come"
    client.disconnect()
    client.loop_stop()
