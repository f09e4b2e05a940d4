"""The program ``face-app subscribe``: starts the consumer, ends it on a signal or when the broker refuses us."""

import logging
import queue
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from prometheus_client import REGISTRY

from face_app.cloud.stores import open_store
from face_app.cloud.subscriber.consumer import Consumer
from face_app.cloud.subscriber.metrics import SubscriberMetrics
from face_app.common.health_server import serve
from face_app.common.settings import Broker, CloudSettings

log = logging.getLogger(__name__)

BROKER_PATIENCE = 5.0
"""Seconds without a connection until we say so."""


class Event(Enum):
    """What can happen to the program."""

    STOP = "a signal to end"
    LINK = "the link to the broker changed"


# Its `put` may be called by a signal handler, which no lock of `threading` allows.
Events = queue.SimpleQueue[Event]


def run(settings: CloudSettings) -> None:
    """Take faces from the broker into the store until SIGTERM or SIGINT.

    A broker or store that is down is waited for; `/ready` says why.

    Raises:
        BrokerError: The broker refuses us for good.
        SettingsError: A file cannot be read or the metrics' port is taken.
    """
    events: Events = queue.SimpleQueue()
    with _signals(events):
        store = open_store(settings.store, connections=settings.workers + 1)
        consumer = Consumer(settings, store, SubscriberMetrics(REGISTRY), on_link=lambda: events.put(Event.LINK))
        server = serve(settings.metrics, consumer.health)
        consumer.start()
        try:
            _wait(consumer, settings.broker, events)
        finally:
            consumer.stop()
            if server:
                server.shutdown()


def _wait(consumer: Consumer, broker: Broker, events: Events) -> None:
    patience: float | None = BROKER_PATIENCE
    while True:
        try:
            event = events.get(timeout=patience)
        except queue.Empty:
            log.warning(
                "no answer from broker %s:%d for %.0f s; waiting (is it up? are its host, port and ca_file right?)",
                *(broker.host, broker.port, BROKER_PATIENCE),
            )
            patience = None
            continue
        if event is Event.STOP:
            log.info("ending: what is not stored now comes again")
            return
        patience = None
        consumer.connection.wait(0)


@contextmanager
def _signals(events: Events) -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: events.put(Event.STOP)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
