"""From the broker to the store and back: judge, store, confirm, receipt, acknowledge."""

import hashlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone

from face_app.cloud.stores.store import Store, Stored
from face_app.cloud.subscriber.deduplicator import Claim, Identity, Ledger, Processed
from face_app.cloud.subscriber.metrics import SubscriberMetrics, total
from face_app.cloud.subscriber.receipt_publisher import Delivery, PendingReceipt, ReceiptPublisher
from face_app.cloud.subscriber.retrying_store import RetryingStore, StoppedError
from face_app.cloud.subscriber.validate import Decision, Limits, judge
from face_app.common.errors import StoreError
from face_app.common.health_server import Capability, Facts, Health
from face_app.common.mqtt import Connection, Message
from face_app.common.settings import CloudSettings
from face_app.common.wire import FACES, Receipt

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
"""How long a stop waits for what is being stored; Docker kills after ten."""
RECEIPT_SECONDS = 1.0
"""How long it waits for receipts after that."""


class Consumer:
    """Workers that take messages from one connection into one store.

    A message is acknowledged only when its bytes are confirmed and the broker has the receipt, so whatever ends
    this program, the message comes again. While the store is down the workers wait, the broker stops at
    `receive_maximum` messages, and the rest stays with it and with the edges.
    """

    def __init__(
        self,
        settings: CloudSettings,
        store: Store,
        figures: SubscriberMetrics,
        *,
        on_link: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            settings: Of the subscriber.
            store: Where to.
            figures: What to count in.
            on_link: Called in the network thread when the link to the broker changed.

        Raises:
            SettingsError: A file of the broker's identity cannot be read.
        """
        self._figures = figures
        self._limits = Limits(settings.max_bytes, settings.max_pixels)
        self._store = RetryingStore(store, figures.store_seconds)
        self._ledger: Ledger[Delivery] = Ledger()
        self._post = ReceiptPublisher(settings.subscriber, figures)
        self._on_link = on_link
        self._deliveries: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._came = False
        # Daemons: a worker in a hanging mount must not keep the program from ending.
        self._workers = [
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
            for number in range(settings.workers)
        ]
        self.connection = Connection(
            settings.broker,
            f"subscriber-{settings.subscriber}",
            subscriptions=[f"$share/{settings.group}/{FACES}"],
            on_message=self._arrived,
            on_sent=self._post.answered,
            on_state=self._link_changed,
            receive_maximum=settings.receive_maximum,
        )
        figures.watch(self.connection, self._deliveries.qsize)

    def start(self) -> None:
        """Begin to connect, to check the store and to work."""
        self._store.start()
        for worker in self._workers:
            worker.start()
        self._post.start(self.connection)
        self.connection.start()

    def stop(self) -> None:
        """End within a few seconds; what is not acknowledged by then comes again."""
        self._stopping.set()
        self._store.stop()
        for _ in self._workers:
            self._deliveries.put(None)
        deadline = time.monotonic() + STOP_SECONDS
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        busy = sum(worker.is_alive() for worker in self._workers)
        if busy:
            log.warning("%d faces were still being stored; the broker will send them again", busy)
        self._post.stop(RECEIPT_SECONDS)
        self.connection.stop()

    def health(self) -> Health:
        """Determine whether faces get from the broker into the store."""
        reason = self.connection.problem or self._store.problem or self._post.problem
        age = self._figures.last_stored_age
        facts: Facts = {
            "connected": self.connection.connected,
            "subscribed": self.connection.subscribed,
            "stored": total(self._figures.stored),
            "copies": total(self._figures.copies),
            "repaired": total(self._figures.repaired),
            "refused": total(self._figures.refused),
            "waiting": self._deliveries.qsize(),
            "last_stored_age": None if age is None else round(age, 1),
        }
        return Health(not reason, not reason, reason, self._capabilities(), facts)

    def _capabilities(self) -> frozenset[Capability]:
        """List the work that was observed; before the first face arrives there is nothing to observe."""
        figures = self._figures
        done = sum(total(counter) for counter in (figures.stored, figures.copies, figures.repaired, figures.refused))
        return frozenset({Capability.OBJECTS}) if done or not self._came else frozenset()

    def _link_changed(self, connected: bool) -> None:
        if not connected:
            self._forget()
        self._post.link_changed()
        self._on_link()

    def _forget(self) -> None:
        """Drop what nobody has begun with: the broker sends it again, and a flapping link would pile up copies."""
        self._ledger.forget_waiters()
        try:
            while self._deliveries.get_nowait():
                pass
            self._deliveries.put(None)  # that was a stop for a worker
        except queue.Empty:
            return

    def _arrived(self, message: Message, epoch: int) -> None:
        self._came = True
        self._deliveries.put(Delivery(message, epoch, datetime.now(timezone.utc)))

    def _work(self) -> None:
        while (delivery := self._deliveries.get()) and not self._stopping.is_set():
            self._handle(delivery)

    def _handle(self, delivery: Delivery) -> None:
        try:
            self._take(delivery)
        except StoppedError:
            log.debug("stopped before a message on %s was stored", delivery.message.topic)
        except StoreError:
            self._deliveries.put(delivery)
        except Exception:
            # Acknowledged, or a message that always fails would hold its place until the next connection; its edge
            # gets no receipt, so it keeps the face and sends it again.
            log.exception("message on %s failed in a way nobody foresaw", delivery.message.topic)
            self._figures.unexpected.inc()
            self.connection.acknowledge(delivery.message, delivery.epoch)

    def _take(self, delivery: Delivery) -> None:
        if delivery.epoch != self.connection.epoch:
            return  # it comes again, or has come
        identity = Identity(delivery.message.topic, hashlib.sha256(delivery.message.payload).hexdigest())
        turn = self._ledger.claim(identity, delivery)
        if isinstance(turn, Processed):
            self._figures.copies.inc()
            self._answer(turn, delivery)
        elif turn is Claim.GRANTED:
            try:
                settled = self._settle(identity, delivery)
            except BaseException:
                for copy in self._ledger.give_up(identity):
                    self._deliveries.put(copy)
                raise
            copies = self._ledger.settle(identity, settled)
            self._figures.copies.inc(len(copies))
            self._answer(settled, delivery, *copies)

    def _settle(self, identity: Identity, delivery: Delivery) -> Processed:
        payload = bytes(delivery.message.payload)
        verdict = judge(identity.topic, payload, identity.sha256, delivery.at, self._limits)
        stored = self._store.put(verdict.key, payload, identity.sha256)
        self._count(identity.topic, verdict, stored)
        receipt = Receipt(
            id=verdict.face,
            sha256=identity.sha256,
            key=verdict.key,
            at=datetime.now(timezone.utc),
            result="refused" if verdict.refused else "stored",
            reason=verdict.refused,
        )
        return Processed(verdict.edge, receipt)

    def _answer(self, settled: Processed, *deliveries: Delivery) -> None:
        for delivery in deliveries:
            if settled.edge is None:
                self.connection.acknowledge(delivery.message, delivery.epoch)
            else:
                self._post.enqueue(PendingReceipt(settled.edge, settled.receipt, delivery))

    def _count(self, topic: str, verdict: Decision, stored: Stored) -> None:
        if stored.outcome == "repaired":
            self._figures.repaired.inc()
            log.warning("%s held other bytes; replaced", verdict.key)
        if verdict.refused:
            self._figures.refused.labels(verdict.refused).inc()
            log.warning("refused a message on %r: %s; its copy: %s", topic, verdict.detail, verdict.key)
            return
        self._figures.face_confirmed()
        (self._figures.copies if stored.outcome == "already" else self._figures.stored).inc()
        log.debug("%s %s", stored.outcome, verdict.key)
