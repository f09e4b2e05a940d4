"""Consume messages: validate, store, confirm, publish a receipt, acknowledge."""

import hashlib
import logging
import threading
import time
import weakref
from collections.abc import Callable
from datetime import datetime, timezone

from face_app.cloud.bucket.tombstone import RECORD, record_key
from face_app.cloud.stores.store import Store, Stored
from face_app.cloud.subscriber.broker_link import BrokerLink
from face_app.cloud.subscriber.decoders import Decoders
from face_app.cloud.subscriber.deduplicator import Claim, Deduplicator, Identity, Processed
from face_app.cloud.subscriber.erasures import Erasures
from face_app.cloud.subscriber.metrics import SubscriberMetrics, total
from face_app.cloud.subscriber.quarantine import QuarantineLimit
from face_app.cloud.subscriber.receipt_publisher import Delivery, PendingReceipt
from face_app.cloud.subscriber.retrying_store import RetryingStore, StoppedError
from face_app.cloud.subscriber.turns import Turns
from face_app.cloud.subscriber.validate import NO_EDGE, Decision, Limits, edge_of, refusal, validate
from face_app.common.errors import MessageError, StoreError
from face_app.common.health_server import Capability, Facts, Health
from face_app.common.log import RateLimitedLog
from face_app.common.mqtt import Connections, Message
from face_app.common.settings import CloudSettings
from face_app.common.wire import Receipt

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
"""Maximum seconds that a stop waits for puts in progress; Docker kills the program after ten."""
RECEIPT_SECONDS = 1.0
"""Maximum seconds that a stop then waits for receipts."""


class Consumer:
    """Stores the messages of all brokers with one pool of workers.

    Each broker has a connection of its own: one that is down does not disturb the others. A message is acknowledged
    after the store has confirmed its bytes and its broker has its receipt. If the program ends earlier, the broker
    redelivers the message. While the store is down, the workers wait. Each broker then delivers no more than
    `receive_maximum` messages; the others wait at the broker and in the outboxes.

    Edges take turns (`Turns`), and each has a share of what is in flight (`Shares`), so none delays another.
    """

    def __init__(
        self,
        settings: CloudSettings,
        store: Store,
        metrics: SubscriberMetrics,
        *,
        on_connection: Callable[[], None] = lambda: None,
    ) -> None:
        """Create the workers and the connections; `start` starts them.

        Args:
            settings: Settings of the subscriber.
            store: Store to write to.
            metrics: Counters to update.
            on_connection: Called in the network thread after a connect or a loss.

        Raises:
            SettingsError: A file of a broker identity cannot be read.
        """
        self._metrics = metrics
        self._limits = Limits(settings.max_bytes, settings.max_pixels)
        self._store = RetryingStore(store, metrics.store_seconds)
        metrics.observe_store(lambda: not self._store.problem)
        self._erasures = Erasures(settings.store, settings.erasure.staleness)
        self._deduplicator: Deduplicator[Delivery] = Deduplicator()
        self._on_connection = on_connection
        self._decoders = Decoders()
        self._quarantine_limit = QuarantineLimit()
        self._deliveries: Turns[Delivery] = Turns(settings.workers, self._decoders.slow)
        self._warnings = RateLimitedLog(log)
        self._received = False
        # Daemon threads: a worker in a hung mount must not block the exit.
        self._workers = [
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
            for number in range(settings.workers)
        ]
        self.links = tuple(
            BrokerLink(settings, broker, metrics, self._receive, self._connection_changed)
            for broker in settings.every_broker
        )
        self.connections = Connections([link.connection for link in self.links])
        metrics.connect(
            {link.name: link.connection for link in self.links},
            lambda: len(self._deliveries),
            lambda: sum(link.shares.bytes for link in self.links),
            self._decoders.slow,
        )

    def start(self) -> None:
        """Start the store checks, the decoders, the workers and the connections."""
        self._store.start()
        self._erasures.start()
        self._decoders.start()
        for worker in self._workers:
            worker.start()
        for link in self.links:
            link.receipts.start()
        self.connections.start()

    def stop(self) -> None:
        """Stop within a few seconds; the broker redelivers each message that is not acknowledged by then."""
        self._deliveries.close()
        self._store.stop()
        self._erasures.stop()
        self._decoders.stop()
        deadline = time.monotonic() + STOP_SECONDS
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        busy = sum(worker.is_alive() for worker in self._workers)
        if busy:
            log.warning("%d faces were still being stored; the broker redelivers them", busy)
        deadline = time.monotonic() + RECEIPT_SECONDS
        for link in self.links:
            link.receipts.stop(max(0.0, deadline - time.monotonic()))
        self.connections.stop()

    def health(self) -> Health:
        """Determine whether faces move from at least one broker into the store."""
        problems = [problem for link in self.links if (problem := link.problem)]
        cut_off = "; ".join(problems) if len(problems) == len(self.links) else ""
        reason = cut_off or self._store.problem or self._erasures.problem
        age = self._metrics.last_stored_age
        facts: Facts = {
            "connected": self.connections.connected,
            "subscribed": self.connections.subscribed,
            "brokers": len(self.links),
            "brokers_down": len(problems),
            "broker_problem": "; ".join(problems),
            "stored": total(self._metrics.stored),
            "copies": total(self._metrics.copies),
            "repaired": total(self._metrics.repaired),
            "refused": total(self._metrics.refused),
            "erased": total(self._metrics.erased),
            "tombstones_unreadable": len(self._erasures.tombstones.bad),
            "declined": total(self._metrics.declined),
            "waiting": len(self._deliveries),
            "last_stored_age": None if age is None else round(age, 1),
        }
        working = not reason
        return Health(live=working, ready=working, reason=reason, capabilities=self._capabilities(), facts=facts)

    def _capabilities(self) -> frozenset[Capability]:
        """Return the work that was observed; before the first message it counts as observed."""
        metrics = self._metrics
        counters = (metrics.stored, metrics.copies, metrics.repaired, metrics.refused, metrics.erased)
        done = sum(total(counter) for counter in counters)
        return frozenset({Capability.OBJECTS}) if done or not self._received else frozenset()

    def _connection_changed(self, link: BrokerLink, connected: bool) -> None:
        if not connected:
            self._drop_queue(link)
        link.receipts.connection_changed()
        self._on_connection()

    def _drop_queue(self, link: BrokerLink) -> None:
        """Drop a broker's messages that no worker has started: it redelivers them on the next connection."""
        self._deduplicator.drop_copies(lambda delivery: delivery.receipts is link.receipts)
        self._deliveries.drop(lambda delivery: delivery.receipts is link.receipts)

    def _receive(self, link: BrokerLink, message: Message, epoch: int) -> None:
        """Queue a message with the number of its connection: only there can it be acknowledged."""
        self._received = True
        edge = edge_of(message.topic) or NO_EDGE
        delivery = Delivery(edge, message, epoch, datetime.now(timezone.utc), link.receipts)
        place = link.shares.enter(edge, len(message.payload), message.qos)
        if place is None:
            self._decline(edge, [delivery], "bytes")
            return
        # It leaves when the last reference is gone: so every path of a message through the program ends with it.
        weakref.finalize(delivery, link.shares.leave, edge, place).atexit = False
        self._deliveries.put(edge, delivery)
        excess = link.shares.excess(edge, self._store.works_since)
        if excess:
            dropped = self._deliveries.drop_newest(edge, excess, lambda each: each.receipts is link.receipts)
            self._decline(edge, dropped, "messages")

    def _decline(self, edge: str, deliveries: list[Delivery], what: str) -> None:
        """Acknowledge messages without a receipt: their edge sends them again, and other edges have their places."""
        for delivery in deliveries:
            (self._metrics.declined if delivery.message.qos else self._metrics.dropped).inc()
            delivery.receipts.acknowledge(delivery)
        text = "edge %s has more %s in flight than its share; it must send some again"
        self._warnings.warning(text, edge, what, kind=f"declined {edge}")

    def _work(self) -> None:
        while turn := self._deliveries.get():
            edge, delivery = turn
            try:
                self._process_safely(delivery)
            finally:
                del turn, delivery  # an idle worker retains no message
                self._deliveries.done(edge)

    def _process_safely(self, delivery: Delivery) -> None:
        try:
            self._process(delivery)
        except StoppedError:
            log.debug("stopped before a message on %s was stored", delivery.message.topic)
        except StoreError:
            # The store is healthy but rejects this object after several attempts: let other faces pass, then retry.
            self._deliveries.put(delivery.edge, delivery)
        except BaseException:  # a panic of native code is no Exception; it must not end the worker
            # Acknowledge it: otherwise a message that always fails would use up one place of `receive_maximum` until
            # the next connection. Its edge gets no receipt, so the edge retains the face and sends it again.
            log.exception("message on %s failed unexpectedly", delivery.message.topic)
            self._metrics.unexpected.inc()
            delivery.receipts.acknowledge(delivery)

    def _process(self, delivery: Delivery) -> None:
        if not delivery.receipts.expects(delivery):
            return  # its connection is lost, so the broker redelivers it
        identity = Identity(delivery.message.topic, hashlib.sha256(delivery.message.payload).hexdigest())
        claim = self._deduplicator.claim(identity, delivery)
        if isinstance(claim, Processed):
            self._metrics.copies.inc()
            self._finish(claim, delivery)
        elif claim is Claim.GRANTED:  # JOINED: another worker stores the same bytes and finishes this copy too
            try:
                result = self._store_message(identity, delivery)
            except BaseException:
                for copy in self._deduplicator.abandon(identity):
                    self._deliveries.put(copy.edge, copy)
                raise
            copies = self._deduplicator.complete(identity, result)
            self._metrics.copies.inc(len(copies))
            self._finish(result, delivery, *copies)

    def _store_message(self, identity: Identity, delivery: Delivery) -> Processed:
        payload = bytes(delivery.message.payload)
        decode = self._decoders.of(delivery.edge)
        decision = validate(identity.topic, payload, identity.sha256, delivery.at, self._limits, decode=decode)
        if not self._erasures.wait():
            raise StoppedError
        if self._is_erased(decision):
            return self._erased(decision, identity)
        if not decision.refused:
            try:
                stored = self._store.put(decision.key, payload, identity.sha256)
            except MessageError as error:
                decision = refusal(error, decision.edge, decision.face, identity.sha256)
            else:
                if self._is_erased(decision):  # the put may have waited for the store; the eraser deletes the object
                    return self._erased(decision, identity)
                self._count_stored(decision, stored)
        copied = bool(decision.refused) and self._refuse(identity, decision, payload)
        receipt = Receipt(
            id=decision.face,
            sha256=identity.sha256,
            key=decision.key if copied or not decision.refused else "",
            at=datetime.now(timezone.utc),
            result="refused" if decision.refused else "stored",
            reason=decision.refused,
        )
        return Processed(decision.edge, receipt)

    def _is_erased(self, decision: Decision) -> bool:
        return decision.described is not None and self._erasures.cover(decision.described)

    def _erased(self, decision: Decision, identity: Identity) -> Processed:
        """Record that a face is erased, and store nothing of it."""
        if not decision.refused:
            self._store.put(record_key(decision.key), RECORD, hashlib.sha256(RECORD).hexdigest())
        self._metrics.erased.inc()
        log.info("%s is not stored: a tombstone covers it", decision.key)
        at = datetime.now(timezone.utc)
        return Processed(decision.edge, Receipt(decision.face, identity.sha256, decision.key, at, "erased"))

    def _refuse(self, identity: Identity, decision: Decision, payload: bytes) -> bool:
        """Put a refused message into quarantine, within its limits; return True if its copy is there."""
        edge = decision.edge or NO_EDGE
        copied = self._quarantine_limit.admit(edge, decision.key, len(payload))
        if copied:
            self._store.put(decision.key, payload, identity.sha256)
        else:
            self._metrics.not_copied.inc()
        self._metrics.refused.labels(decision.refused).inc()
        self._warnings.warning(
            *("refused a message on %r: %s; %s", identity.topic, decision.detail),
            f"stored as {decision.key}" if copied else f"no copy (too many in this hour), sha256 {identity.sha256}",
            kind=f"refused {edge} {decision.refused} {copied}",
        )
        return copied

    def _finish(self, result: Processed, *deliveries: Delivery) -> None:
        """Acknowledge messages; publish the receipt of each first, if its edge is known."""
        for delivery in deliveries:
            if result.edge is not None:
                delivery.receipts.enqueue(PendingReceipt(result.edge, result.receipt, delivery))
            else:
                delivery.receipts.acknowledge(delivery)

    def _count_stored(self, decision: Decision, stored: Stored) -> None:
        if stored.outcome == "repaired":
            self._metrics.repaired.inc()
            log.warning("%s had other bytes; replaced", decision.key)
        self._metrics.face_confirmed()
        if stored.outcome == "already":  # an earlier run of this program stored it
            self._metrics.copies.inc()
        else:
            self._metrics.stored.inc()
        log.debug("%s %s", stored.outcome, decision.key)
