"""Run ``face-app subscribe``: start the consumer, stop it on a signal or a permanent refusal."""

import logging
import queue
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from prometheus_client import REGISTRY

from face_app.cloud.stores import open_store
from face_app.cloud.subscriber.consumer import Consumer
from face_app.cloud.subscriber.marks import MarkRecorder
from face_app.cloud.subscriber.metrics import SubscriberMetrics
from face_app.common.health_server import serve
from face_app.common.settings import CloudSettings

log = logging.getLogger(__name__)


class Event(Enum):
    """Names an event of the main loop."""

    STOP = "a signal arrived"
    CONNECTION = "a connection to a broker opened or closed"


# A signal handler may call `SimpleQueue.put`. It must not use a lock of `threading`, which could deadlock.
Events = queue.SimpleQueue[Event]


def run(settings: CloudSettings) -> None:
    """Store the faces that the brokers deliver, until SIGTERM or SIGINT.

    While all brokers or the store are down the program waits; `/ready` returns the reason.

    Raises:
        BrokerError: Every broker refuses the connection permanently.
        SettingsError: A file cannot be read, or the metrics port is in use.
    """
    events: Events = queue.SimpleQueue()
    with _signals(events):
        store = open_store(settings.store, connections=settings.workers + 1)
        consumer = Consumer(
            settings, store, SubscriberMetrics(REGISTRY), on_connection=lambda: events.put(Event.CONNECTION)
        )
        marks = MarkRecorder(settings, store)
        server = serve(settings.metrics, consumer.health)
        consumer.start()
        marks.start()
        try:
            _wait(consumer, events)
        finally:
            consumer.stop()
            marks.stop()
            if server:
                server.shutdown()


def _wait(consumer: Consumer, events: Events) -> None:
    while events.get() is not Event.STOP:
        consumer.connections.raise_refusal()
    log.info("stopping; the brokers redeliver the messages that are not stored")


@contextmanager
def _signals(events: Events) -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: events.put(Event.STOP)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
