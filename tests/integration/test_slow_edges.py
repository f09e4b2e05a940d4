"""Eight hostile edges send pictures that take the whole CPU limit; an honest edge beside them has all its faces stored.

No picture within the limits of pixels and scans takes so long. So the decoders of this test work on small pictures
until the kernel kills them.
"""

import statistics
import sys
import threading
from contextlib import contextmanager

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client import CollectorRegistry

from face_app.cloud.stores import open_store
from face_app.cloud.subscriber.consumer import Consumer
from face_app.cloud.subscriber.metrics import SubscriberMetrics, total
from face_app.common.metadata import write_metadata
from face_app.common.settings import Broker, CloudSettings, Store
from integration.test_fair_turns import FACES, Honest
from support.faces import drawn_face, picture
from support.mosquitto import mosquitto

HOSTILE = 8
SIDE = 64
"""Pixels of a side of a hostile picture; an honest face has another size."""
DECODER = f"""
from face_app.cloud.subscriber import decoder_process
real = decoder_process.decoded_size

def decoded_size(pixels, *limits):
    size = real(pixels, *limits)
    while size == ({SIDE}, {SIDE}):
        pass
    return size

decoder_process.decoded_size = decoded_size
decoder_process.main()
"""


@contextmanager
def subscriber(broker, folder):
    settings = CloudSettings(
        store=Store(kind="directory", path=folder), broker=Broker(host=broker.host, port=broker.port)
    )
    metrics = SubscriberMetrics(CollectorRegistry())
    consumer = Consumer(settings, open_store(settings.store), metrics)
    for process in consumer._decoders._processes:
        process._command = [sys.executable, "-c", DECODER]
    consumer.start()
    try:
        assert consumer.links[0].connection.wait_for_outcome(90)
        yield consumer, metrics
    finally:
        consumer.stop()


def flood(port, edge, stop):
    """Publish as fast as the broker acknowledges, until the end."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=edge, protocol=paho.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for number in range(1, 100_000):
        face = drawn_face(number, edge=edge)
        payload = write_metadata(picture("JPEG", SIDE), face.id, face.metadata)
        client.publish(face.topic, payload, qos=1).wait_for_publish(5)
        if stop.wait(0.05):
            break
    client.loop_stop()


@pytest.mark.full
def test_an_honest_edge_beside_eight_that_take_the_whole_cpu_limit(tmp_path, record_property):
    stop = threading.Event()
    with mosquitto() as broker, subscriber(broker, tmp_path) as (consumer, metrics):
        edges = [f"hostile-{number}" for number in range(HOSTILE)]
        floods = [threading.Thread(target=flood, args=(broker.port, edge, stop)) for edge in edges]
        for each in floods:
            each.start()
        honest = Honest(broker.port)
        try:
            while not total(metrics.refused):  # at least one picture has taken its 10 s
                assert consumer.links[0].connection.connected
                stop.wait(0.1)
            faces = honest.send(FACES)
        finally:
            stop.set()
            for each in floods:
                each.join()
            honest.client.loop_stop()
        slow = len(consumer._decoders.slow)
    assert all((tmp_path / face.key).read_bytes() == face.payload for face in faces)
    p99 = statistics.quantiles(honest.seconds.values(), n=100)[98]
    figures = {
        "p50_seconds": round(statistics.median(honest.seconds.values()), 3),
        "p99_seconds": round(p99, 3),
        "resent": honest.resent,
        "refused": total(metrics.refused),
        "slow_edges": slow,
    }
    for name, value in figures.items():
        record_property(name, value)
    sys.stdout.write(f"{figures}\n")  # shown with -rP
    assert slow == HOSTILE
