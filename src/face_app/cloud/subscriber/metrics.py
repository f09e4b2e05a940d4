"""Define the metrics of the subscriber."""

import math
import time
from collections.abc import Callable, Mapping, Sized
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from face_app.common.errors import REFUSALS
from face_app.common.mqtt import Connection

_HISTOGRAM_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds


class SubscriberMetrics:
    """Contains the metrics of the subscriber, in the caller's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Create the metrics; a registry accepts each name only once."""
        self._last_confirmed_at: float | None = None

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"face_app_subscriber_{name}", text, labels, registry=registry)

        self.stored = counter("stored", "Faces that became an object.")
        self.copies = counter("copies", "Messages whose bytes were already stored.")
        self.repaired = counter("repaired", "Objects with other bytes, such as a partial upload, that were replaced.")
        self.refused = counter("refused", "Refused messages.", "reason")
        for reason in REFUSALS:
            self.refused.labels(reason)
        self.erased = counter("erased", "Messages that were not stored, because a tombstone covers their face.")
        self.not_copied = counter("not_copied", "Refused messages without a copy: their edge has enough in quarantine.")
        self.declined = counter("declined", "Messages over the share of their edge, which sends them again.")
        self.dropped = counter("dropped", "Messages at QoS 0 over the share of their edge. Faces are sent at QoS 1.")
        self.receipts_refused = counter("receipts_refused", "Receipts that the broker rejected.")
        self.unexpected = counter("unexpected", "Messages that failed unexpectedly; see the log.")
        self.store_seconds = Histogram(
            "face_app_subscriber_store_seconds",
            "Seconds until the store confirmed an object.",
            buckets=_HISTOGRAM_BOUNDS,
            registry=registry,
        )

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"face_app_subscriber_{name}", text, registry=registry)

        self.receipts_in_flight = gauge("receipts_in_flight", "Receipts not sent yet, or not confirmed by the broker.")
        self._connected = gauge("connected", "1 while connected to at least one broker.")
        self._subscribed = gauge("subscribed", "1 while at least one broker has granted the subscription.")
        self._broker_up = Gauge(
            "face_app_subscriber_broker_up", "1 while faces of this broker arrive.", ["broker"], registry=registry
        )
        self._store_up = gauge("store_up", "1 while the store accepts objects and passes its checks.")
        self._waiting = gauge("waiting", "Received messages that no worker has started.")
        self._bytes = gauge("in_flight_bytes", "Bytes of received messages that are not acknowledged.")
        self._slow = gauge("slow_edges", "Edges with a slow image in the last hour; they share one decoder.")
        age = gauge("last_stored_age_seconds", "Age of the last confirmed face; NaN before the first.")
        age.set_function(lambda: math.nan if self.last_stored_age is None else self.last_stored_age)

    def connect(
        self,
        connections: Mapping[str, Connection],
        waiting: Callable[[], int],
        in_flight_bytes: Callable[[], int],
        slow_edges: Sized,
    ) -> None:
        """Connect the gauges to the values that they report when Prometheus reads them.

        Args:
            connections: Connections to the brokers, by host and port.
            waiting: Returns the number of received messages that no worker has started.
            in_flight_bytes: Returns the bytes of received messages that are not acknowledged.
            slow_edges: The slow edges at any time.
        """
        self._bytes.set_function(in_flight_bytes)
        self._slow.set_function(lambda: len(slow_edges))
        self._waiting.set_function(waiting)
        self._connected.set_function(lambda: any(each.connected for each in connections.values()))
        self._subscribed.set_function(lambda: any(each.subscribed for each in connections.values()))
        for broker, connection in connections.items():
            self._broker_up.labels(broker).set_function(partial(getattr, connection, "subscribed"))

    def observe_store(self, works: Callable[[], bool]) -> None:
        """Connect the gauge of the store to the check that it reports when Prometheus reads it."""
        self._store_up.set_function(works)

    def face_confirmed(self) -> None:
        """Record that the store confirmed a face: a new one, or a copy of one that it had."""
        self._last_confirmed_at = time.monotonic()

    @property
    def last_stored_age(self) -> float | None:
        """Return the seconds since the store last confirmed a face; None before the first."""
        return None if self._last_confirmed_at is None else time.monotonic() - self._last_confirmed_at


def total(counter: Counter) -> int:
    """Return the value of a counter, summed over its labels."""
    # Each counter also has a sample that ends with _created: the time of its creation.
    samples = (sample for metric in counter.collect() for sample in metric.samples)
    return int(sum(sample.value for sample in samples if sample.name.endswith("_total")))
