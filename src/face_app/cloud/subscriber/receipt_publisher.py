"""Publish receipts in batches and acknowledge messages: the only module that acknowledges."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import takewhile
from queue import Empty, SimpleQueue
from typing import TypeAlias

from paho.mqtt.reasoncodes import ReasonCode

from face_app.cloud.subscriber.metrics import SubscriberMetrics
from face_app.common.mqtt import Connection, Message
from face_app.common.wire import Receipt, dump_receipts, receipts_topic

log = logging.getLogger(__name__)

BATCH_SECONDS = 0.02
"""Minimum seconds between two batches. The first batch after an idle time is sent at once."""
BATCH_SIZE = 100
"""Maximum number of receipts in one message, about 300 bytes each."""
RETRY_SECONDS = 1.0
"""Seconds until a receipt that the connection did not accept is retried; a new connection retries at once."""
SILENT_SECONDS = 30.0
"""Seconds without an answer to a receipt until that is a problem; keepalive detects a lost connection earlier."""

Event: TypeAlias = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Delivery:
    """Contains a message as the broker delivered it.

    Attributes:
        edge: Whose turn it takes: the edge of its topic, or ``-``.
        message: Topic, payload, and the data of an acknowledgement.
        epoch: Number of the connection in which it arrived.
        at: Time of arrival (aware).
        receipts: Publisher at the broker that delivered it: there its edge reads the receipt.
    """

    edge: str
    message: Message
    epoch: int
    at: datetime
    receipts: "ReceiptPublisher"


@dataclass(frozen=True, eq=False)
class PendingReceipt:
    """Pairs a receipt with the message to acknowledge once the broker has the receipt.

    Attributes:
        edge: Name of the edge that receives the receipt.
        receipt: Receipt of the message.
        delivery: The message.
    """

    edge: str
    receipt: Receipt
    delivery: Delivery


@dataclass(frozen=True, eq=False)
class _Batch:
    """Contains the receipts of one message, and the time of its publication."""

    receipts: list[PendingReceipt]
    sent_at: float


class ReceiptPublisher:
    """Publishes the receipts of all workers in one thread; every input is an event in its queue.

    So no worker waits for the broker. The broker's answer may arrive before `publish` has returned the message id. It
    then waits in the queue.
    """

    def __init__(self, subscriber: str, connection: Connection, metrics: SubscriberMetrics) -> None:
        """Prepare the thread; `start` starts it.

        Args:
            subscriber: Name of this subscriber, the last level of the topic.
            connection: Connection to the broker; its callbacks must call `answered` and `connection_changed`.
            metrics: Counters to update.
        """
        self._subscriber = subscriber
        self._connection = connection
        self._metrics = metrics
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._ready: dict[str, list[PendingReceipt]] = {}
        self._sent: dict[int, _Batch] = {}
        self._next_batch_at = 0.0
        self._stopping = False
        self._rejection = ""
        self._oldest: float | None = None
        self._unconfirmed = 0
        self._thread = threading.Thread(target=self._run, name="receipts", daemon=True)

    @property
    def problem(self) -> str:
        """Return the reason why receipts are not published; empty while they are."""
        if self._rejection:
            return self._rejection
        silent = 0.0 if self._oldest is None else time.monotonic() - self._oldest
        return f"the broker has not answered a receipt for {silent:.0f} s" if silent > SILENT_SECONDS else ""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Publish ready receipts and wait for their answers, at most `seconds`. The broker redelivers the rest."""
        self._events.put(self._begin_to_stop)
        if self._thread.is_alive():
            self._thread.join(seconds)

    def enqueue(self, pending: PendingReceipt) -> None:
        """Queue a receipt of a confirmed object; its message is acknowledged after the publication."""
        self._events.put(lambda: self._ready.setdefault(pending.edge, []).append(pending))

    def acknowledge(self, delivery: Delivery) -> None:
        """Acknowledge a message that gets no receipt."""
        self._connection.acknowledge(delivery.message, delivery.epoch)

    def expects(self, delivery: Delivery) -> bool:
        """Return True if the connection of a message still exists; otherwise the broker redelivers it."""
        return delivery.epoch == self._connection.epoch

    def answered(self, message_id: int, reason: ReasonCode) -> None:
        """Handle the broker's answer to a publish; for `Connection.on_sent`."""
        self._events.put(partial(self._answered, message_id, reason))

    def connection_changed(self) -> None:
        """Handle a connect or a loss; for `Connection.on_state`."""
        self._events.put(self._connection_changed)

    def _run(self) -> None:
        while not self._may_end():
            try:
                self._run_events()
                self._publish()
            except Exception:
                log.exception("publishing receipts failed unexpectedly; retrying in %.0f s", RETRY_SECONDS)
                self._next_batch_at = time.monotonic() + RETRY_SECONDS
            self._update_metrics()

    def _may_end(self) -> bool:
        """Return True during a stop, once all receipts are answered or none can be."""
        finished = not self._ready and not self._sent
        return self._stopping and (finished or not self._connection.connected)

    def _run_events(self) -> None:
        """Run queued events; wait for the first, or for the next batch when receipts are ready."""
        wait = max(0.0, self._next_batch_at - time.monotonic()) if self._ready else None
        try:
            if wait is not None and wait <= BATCH_SECONDS:
                time.sleep(wait)  # a wait at the queue would wake this thread for each receipt of the batch
            else:
                self._events.get(timeout=wait)()
            while True:
                self._events.get_nowait()()
        except Empty:
            return  # all queued events ran, or the next batch is due

    def _publish(self) -> None:
        now = time.monotonic()
        if now < self._next_batch_at:
            return
        self._next_batch_at = now + BATCH_SECONDS
        for edge, pending in list(self._ready.items()):
            while pending:
                batch = _next_batch(pending)
                receipts = dump_receipts(each.receipt for each in batch)
                message_id = self._connection.publish(receipts_topic(edge, self._subscriber), receipts)
                if message_id is None:
                    # not accepted now; the receipts stay ready
                    self._next_batch_at = now + RETRY_SECONDS
                    return
                self._sent[message_id] = _Batch(batch, now)
                del pending[: len(batch)]
            del self._ready[edge]

    def _answered(self, message_id: int, reason: ReasonCode) -> None:
        batch = self._sent.pop(message_id, None)
        if batch is None:
            return  # published on an older connection; the broker redelivers its messages
        self._record_answer(batch.receipts, reason)
        for each in batch.receipts:
            self.acknowledge(each.delivery)

    def _record_answer(self, receipts: list[PendingReceipt], reason: ReasonCode) -> None:
        """Record an answer of the broker.

        A rejected receipt counts as answered, because a retry would not change the rejection. The edge resends the
        face and gets another receipt.
        """
        problem = ""
        if reason.is_failure:
            topic = receipts_topic(receipts[0].edge, self._subscriber)
            problem = f"the broker does not accept receipts on {topic} ({reason}); check its ACL"
            self._metrics.receipts_refused.inc(len(receipts))
        if problem and not self._rejection:
            log.error(problem)
        self._rejection = problem

    def _connection_changed(self) -> None:
        """Drop batches of older connections: the broker redelivers their messages."""
        self._next_batch_at = 0.0
        epoch = self._connection.epoch
        self._sent = {
            message_id: batch
            for message_id, batch in self._sent.items()
            if any(each.delivery.epoch == epoch for each in batch.receipts)
        }

    def _begin_to_stop(self) -> None:
        self._stopping = True

    def _update_metrics(self) -> None:
        self._oldest = next((batch.sent_at for batch in self._sent.values()), None)
        unconfirmed = sum(map(len, self._ready.values())) + sum(len(batch.receipts) for batch in self._sent.values())
        # The gauge is the sum of all publishers.
        self._metrics.receipts_in_flight.inc(unconfirmed - self._unconfirmed)
        self._unconfirmed = unconfirmed


def _next_batch(pending: list[PendingReceipt]) -> list[PendingReceipt]:
    """Return the first receipts that share a message.

    Edges of earlier versions use no receipt of a message with the result ``erased``, so the others have their own.
    """
    kind = pending[0].receipt.result == "erased"
    return list(takewhile(lambda each: (each.receipt.result == "erased") == kind, pending[:BATCH_SIZE]))
