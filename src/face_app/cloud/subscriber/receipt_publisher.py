"""How receipts go out: many in one message, and each face's message acknowledged when the broker has its receipt."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeAlias

from paho.mqtt.reasoncodes import ReasonCode

from face_app.cloud.subscriber.metrics import SubscriberMetrics
from face_app.common.mqtt import Connection, Message
from face_app.common.wire import Receipt, dump_receipts, receipts_topic

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.02
"""Least time between two rounds of receipts. The first one after a quiet time does not wait."""
MOST = 100
"""Receipts in one message, about 300 bytes each."""
RETRY_SECONDS = 1.0
"""Until a receipt that the connection did not take is tried again, unless the link changes sooner."""
SILENT_SECONDS = 30.0
"""Without an answer to a receipt until that is a problem; a dead link is noticed sooner, by its keepalive."""

Event: TypeAlias = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Delivery:
    """One message as the broker handed it over.

    Attributes:
        message: Topic and payload, and what an acknowledgement needs.
        epoch: The connection it came in.
        at: When (aware).
    """

    message: Message
    epoch: int
    at: datetime


@dataclass(frozen=True, eq=False)
class PendingReceipt:
    """A receipt, and the message that is acknowledged once the broker has it.

    Attributes:
        edge: Whom it is for.
        receipt: The word on the message.
        delivery: The message.
    """

    edge: str
    receipt: Receipt
    delivery: Delivery


@dataclass(frozen=True, eq=False)
class _Sent:
    letters: list[PendingReceipt]
    at: float


class ReceiptPublisher:
    """One thread that sends the receipts of all workers; everything that happens is posted to it.

    So nobody waits for the broker's answer, and an answer that comes before `publish` has even returned waits in
    the queue until the message's number is known.
    """

    def __init__(self, subscriber: str, figures: SubscriberMetrics) -> None:
        """Send under the name of this subscriber; count in these figures."""
        self._subscriber = subscriber
        self._figures = figures
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._ready: dict[str, list[PendingReceipt]] = {}
        self._sent: dict[int, _Sent] = {}
        self._next_round = 0.0
        self._stopping = False
        self._refused = ""
        self._oldest: float | None = None
        self._thread: threading.Thread | None = None

    @property
    def problem(self) -> str:
        """Why receipts do not get out; empty when they do as far as we know."""
        silent = 0.0 if self._oldest is None else time.monotonic() - self._oldest
        return self._refused or (
            f"the broker has not answered a receipt for {silent:.0f} s" if silent > SILENT_SECONDS else ""
        )

    def start(self, connection: Connection) -> None:
        """Begin to send over this connection."""
        self._thread = threading.Thread(target=self._run, args=(connection,), name="receipts", daemon=True)
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Send what is ready and take the answers, for at most so long; what has none by then comes again."""
        self._events.put(self._begin_to_stop)
        if self._thread:
            self._thread.join(seconds)

    def enqueue(self, letter: PendingReceipt) -> None:
        """Send a receipt and then acknowledge its message. Returns at once; the store has confirmed the object."""
        self._events.put(lambda: self._ready.setdefault(letter.edge, []).append(letter))

    def answered(self, mid: int, answer: ReasonCode) -> None:
        """Take the broker's answer; for `Connection.on_sent`."""
        self._events.put(partial(self._answered, mid, answer))

    def link_changed(self) -> None:
        """Look at the link again; for `Connection.on_state`."""
        self._events.put(self._changed)

    def _run(self, connection: Connection) -> None:
        self._connection = connection
        while not (self._stopping and (not connection.connected or not (self._ready or self._sent))):
            try:
                self._do_events()
                self._send()
            except Exception:
                log.exception("receipts met what they should not; going on in %.0f s", RETRY_SECONDS)
                self._next_round = time.monotonic() + RETRY_SECONDS
            self._note()

    def _do_events(self) -> None:
        """Do what was posted; wait for the first of it, or for the next round where receipts are ready."""
        try:
            self._events.get(timeout=max(0.0, self._next_round - time.monotonic()) if self._ready else None)()
            while True:
                self._events.get_nowait()()
        except Empty:
            return

    def _send(self) -> None:
        now = time.monotonic()
        if now < self._next_round:
            return
        self._next_round = now + GATHER_SECONDS
        for edge, letters in list(self._ready.items()):
            while letters:
                batch = letters[:MOST]
                receipts = dump_receipts(letter.receipt for letter in batch)
                mid = self._connection.publish(receipts_topic(edge, self._subscriber), receipts)
                if mid is None:
                    self._next_round = now + RETRY_SECONDS
                    return
                self._sent[mid] = _Sent(batch, now)
                del letters[:MOST]
            del self._ready[edge]

    def _answered(self, mid: int, answer: ReasonCode) -> None:
        sent = self._sent.pop(mid, None)
        if sent is None:
            return
        self._judge(sent.letters, answer)
        for letter in sent.letters:
            self._connection.acknowledge(letter.delivery.message, letter.delivery.epoch)

    def _judge(self, letters: list[PendingReceipt], answer: ReasonCode) -> None:
        """Note what the broker says.

        A receipt that it does not want counts as answered: no waiting would change that, and the edge asks again by
        sending the face again.
        """
        problem = ""
        if answer.is_failure:
            topic = receipts_topic(letters[0].edge, self._subscriber)
            problem = f"the broker does not take receipts on {topic} ({answer}); check its ACL"
            self._figures.receipts_refused.inc(len(letters))
        if problem and not self._refused:
            log.error(problem)
        self._refused = problem

    def _changed(self) -> None:
        """Forget answers that nobody needs: messages of an older connection come again, whatever is answered."""
        self._next_round = 0.0
        epoch = self._connection.epoch
        self._sent = {
            mid: sent
            for mid, sent in self._sent.items()
            if any(letter.delivery.epoch == epoch for letter in sent.letters)
        }

    def _begin_to_stop(self) -> None:
        self._stopping = True

    def _note(self) -> None:
        self._oldest = next((sent.at for sent in self._sent.values()), None)
        waiting = sum(map(len, self._ready.values())) + sum(len(sent.letters) for sent in self._sent.values())
        self._figures.receipts_open.set(waiting)
