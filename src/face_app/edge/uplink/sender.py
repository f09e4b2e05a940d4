"""Send the pending faces of an outbox, and apply receipts.

One thread does both. Callbacks of the MQTT client only put events into a queue, and that thread runs the events.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TypeAlias

from face_app.common.backoff import MAX_PAUSE, pauses
from face_app.common.errors import MessageError, OutboxDamagedError, OutboxError
from face_app.common.log import RateLimitedLog
from face_app.common.mqtt import Connection, Message, client_id
from face_app.common.settings import EdgeSettings
from face_app.common.wire import RECEIPTS_BYTES, Receipt, load_receipts, receipts_topic
from face_app.edge import metrics
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.process_lock import ProcessLock
from face_app.edge.uplink.dispatcher import Dispatcher
from face_app.edge.uplink.send_window import SendWindow
from face_app.edge.uplink.sender_state import SenderState
from face_app.edge.uplink.uplink_state import Uplink

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
"""Seconds between two polls of the outbox; faces of other processes cannot wake this thread."""
ROUND_SECONDS = 0.01
"""Minimum seconds between two rounds: one reads the outbox and commits receipts once for all events of that time. The
first event after an idle time starts a round at once."""
RETRY_SECONDS = 0.5
"""Seconds between two attempts to become the sender of this outbox."""
RECOVER_SECONDS = 5.0
"""Seconds to wait after an unexpected error."""
UNREACHED_SECONDS = 3.0
"""Seconds without a connection to the broker before a warning."""
SESSION_SECONDS = 3600
"""Seconds for which the broker queues receipts for a lost connection. After a shorter outage no stored face is sent
again. After a longer one the window is sent again, and the subscriber answers from its memory or the bucket."""
QueuedEvent: TypeAlias = Callable[[], None]


class Sender:
    """Runs the sending thread. Of all processes with one outbox, only the elected process sends."""

    def __init__(self, settings: EdgeSettings, outbox: Outbox) -> None:
        """Prepare the thread; the `with` block starts it.

        Raises:
            SettingsError: A file of the broker identity cannot be read.
            OutboxError: The lock file cannot be created.
        """
        self._outbox = outbox
        self._lock = ProcessLock(outbox.path, "sender")
        self._elected = False
        self._started = time.monotonic()
        self._uplink = Uplink(settings.edge, bridged=settings.sender.link == "bridged")
        self._window = SendWindow(settings.sender)
        self._failure: OutboxError | None = None
        self._quiet_since = 0.0
        self._next_round_at = 0.0
        self._receipts: list[tuple[Message, int, list[Receipt]]] = []
        self._was_up = False
        self._unreached_since: float | None = None
        self._warnings = RateLimitedLog(log)
        self._broker = f"{settings.broker.host}:{settings.broker.port}"
        self._events: SimpleQueue[QueuedEvent] = SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._connection = Connection(
            settings.broker,
            client_id("sender", outbox.id, settings.broker),
            subscriptions=[*(receipts_topic(edge, "+") for edge in self._edges(settings.edge)), *self._uplink.topics],
            on_message=lambda message, epoch: self._events.put(partial(self._receive, message, epoch)),
            on_sent=lambda message, reason: self._events.put(partial(self._dispatcher.acknowledged, message, reason)),
            on_state=lambda connected: self._events.put(partial(self._connection_changed, connected=connected)),
            session_seconds=SESSION_SECONDS,
            max_received_bytes=RECEIPTS_BYTES,
        )
        self._dispatcher = Dispatcher(outbox, self._window, self._connection, self._broker, self._warnings)

    def __enter__(self) -> "Sender":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the thread. Faces without a receipt stay in the outbox."""
        self._stop.set()
        self.wake()
        self._thread.join()

    def _edges(self, own: str) -> set[str]:
        """Return the edge names whose receipts are needed: the current name, and earlier names of waiting faces."""
        earlier = self._outbox.pending_edges() - {own}
        if earlier and self._uplink.topics:
            log.error(
                "faces wait as edge %s, but the forwarder carries only those of %s: set edge back until they are sent",
                *(", ".join(sorted(earlier)), own),
            )
        return {own} | earlier

    def wake(self) -> None:
        """Let the thread poll the outbox now. Call it after an append."""
        self._events.put(lambda: None)

    def check(self) -> None:
        """Raise the error that ended the thread, if any.

        Raises:
            OutboxDamagedError: The outbox is damaged; only a restart of the program recovers it.
            OutboxError: The outbox cannot be locked.
        """
        if self._failure:
            raise self._failure

    @property
    def state(self) -> SenderState:
        """Return the current state."""
        connected = self._uplink.connected
        up_since = self._uplink.up_since
        quiet_since = max(up_since or 0.0, self._quiet_since, self._dispatcher.busy_since)
        return SenderState(
            broker=self._broker,
            running=time.monotonic() - self._started,
            elected=self._elected,
            connected=connected,
            hops=self._uplink.hops,
            reported=self._uplink.reported,
            up=up_since is not None,
            quiet=0.0 if up_since is None else time.monotonic() - quiet_since,
            window=self._window.limit,
            aside=self._dispatcher.aside,
            aside_reason=self._dispatcher.aside_reason,
            problem=self._connection.problem or ("" if connected else f"broker {self._broker} is not connected yet"),
            refused=self._connection.refused,
            failure=str(self._failure or ""),
        )

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and not self._lock.acquire():
                self._run_events(RETRY_SECONDS)
            if self._stop.is_set():
                return
            self._elected = True
            self._connection.start()
            self._send_until_stopped()
            self._connection.stop()
        except OutboxError as error:
            self._failure = error
        finally:
            self._lock.release()

    def _send_until_stopped(self) -> None:
        waits = pauses(MAX_PAUSE)
        while not self._stop.is_set():
            try:
                self._run_events(POLL_SECONDS)
                self._apply_receipts()
                if self._uplink.connected:
                    self._dispatcher.dispatch(self._uplink.up_since)
                self._log_state()
                self._outbox.maintain()
                waits = pauses(MAX_PAUSE)
            except OutboxDamagedError as error:  # noqa: PERF203 - each round is independent
                self._failure = error
                return
            except OutboxError as error:
                pause = next(waits)
                log.warning("%s; the sender tries again in %.0f s", error, pause)
                self._stop.wait(pause)
            except Exception:
                log.exception("unexpected error in the sender; it continues in %.0f s", RECOVER_SECONDS)
                self._stop.wait(RECOVER_SECONDS)

    def _run_events(self, seconds: float) -> None:
        """Run all queued events; wait up to `seconds` for the first one, and until the next round may begin."""
        try:
            first = self._events.get(timeout=seconds)
            time.sleep(max(0.0, self._next_round_at - time.monotonic()))
            self._next_round_at = time.monotonic() + ROUND_SECONDS
            first()
            while True:
                self._events.get_nowait()()
        except Empty:
            return

    def _connection_changed(self, *, connected: bool) -> None:
        self._uplink.connection_changed(time.monotonic(), connected=connected)
        if connected:
            self._dispatcher.connection_opened()
        else:
            self._dispatcher.connection_lost()

    def _receive(self, message: Message, epoch: int) -> None:
        if message.topic in self._uplink.topics:
            self._uplink.hop_changed(message.topic, bytes(message.payload), time.monotonic())
            self._connection.acknowledge(message, epoch)
            return
        try:
            receipts = load_receipts(bytes(message.payload))
        except MessageError as error:
            self._warnings.warning("receipts on %s cannot be read: %s", message.topic, error)
            self._connection.acknowledge(message, epoch)
            return
        self._receipts.append((message, epoch, receipts))
        # Not when the receipts are applied: a report of a hop that arrives until then is newer than they are.
        self._uplink.receipt_arrived(time.monotonic())

    def _apply_receipts(self) -> None:
        """Apply all received receipts in one transaction, then acknowledge their messages."""
        if not self._receipts:
            return
        applied = self._outbox.apply_receipts(receipt for *_, receipts in self._receipts for receipt in receipts)
        for row, receipt in applied:
            self._window.record_receipt(row, time.monotonic(), self._uplink.up_since)
            self._dispatcher.record_receipt(row)
            if receipt.result == "stored":
                metrics.STORED.inc()
            elif receipt.result == "erased":
                metrics.ERASED.inc()
                log.info("face %s is erased: a tombstone in the bucket covers it", receipt.id)
            else:
                metrics.REFUSED.labels(receipt.reason).inc()
                log.warning(
                    "face %s is refused: %s; its pixels stay in the outbox", receipt.sha256[:12], receipt.reason
                )
        for message, epoch, _ in self._receipts:
            self._connection.acknowledge(message, epoch)
        self._receipts.clear()
        self._quiet_since = time.monotonic()

    def _log_state(self) -> None:
        """Log when the uplink opens or closes, and warn while the broker is not reached."""
        up = self._uplink.up_since is not None
        if up != self._was_up:
            log.info("the uplink is %s", "up" if up else "down; faces wait")
        self._was_up = up
        if self._uplink.connected:
            self._unreached_since = None
        elif self._unreached_since is None:
            self._unreached_since = time.monotonic()
        elif time.monotonic() - self._unreached_since > UNREACHED_SECONDS:
            self._warnings.warning("faces wait: %s", self.state.obstacle)
