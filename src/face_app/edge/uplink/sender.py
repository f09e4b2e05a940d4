"""Sends what waits in the outbox, and notes the receipts. One thread; everything that happens is posted to it."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TypeAlias

from paho.mqtt.reasoncodes import ReasonCode

from face_app.common.backoff import pauses
from face_app.common.errors import MessageError, OutboxDamagedError, OutboxError
from face_app.common.mqtt import Connection, Message
from face_app.common.settings import EdgeSettings
from face_app.common.wire import Receipt, load_receipts, receipts_topic
from face_app.edge import metrics
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.process_lock import ProcessLock
from face_app.edge.uplink.link import Link
from face_app.edge.uplink.send_window import Lane, Window
from face_app.edge.uplink.sender_state import SenderState

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
"""Between two looks at the outbox for faces of other processes, which cannot wake this thread."""
STAND_SECONDS = 0.5
"""Between two attempts to become the sender of this outbox."""
BATCH = 50
"""Most faces that are sent before receipts are looked at again."""
PATIENCE_SECONDS = 3.0
"""Without a broker until that is worth a warning."""
REPEAT_SECONDS = 60.0
"""Between two warnings about the same thing."""
Post: TypeAlias = Callable[[], None]
NO_SUBSCRIBER = 0x10  # MQTT 5, PUBACK: accepted, and given to nobody


class Sender:
    """The thread that owns window, link and receipts, in the one process per outbox that is elected."""

    def __init__(self, settings: EdgeSettings, outbox: Outbox) -> None:
        """Get ready; entering starts it.

        Raises:
            SettingsError: A file of the broker's identity cannot be read.
            OutboxError: The lock file cannot be made.
        """
        self._outbox = outbox
        self._election = ProcessLock(outbox.path)
        self._elected = False
        self._started = time.monotonic()
        self._link = Link(settings.edge, bridged=settings.sender.link == "bridged")
        self._window = Window(settings.sender)
        self._failure: OutboxError | None = None
        self._too_large: set[int] = set()
        self._quiet_since = 0.0
        self._receipts: list[tuple[Message, int, list[Receipt]]] = []
        self._was_up = False
        self._alone_since: float | None = None
        self._warned: dict[str, float] = {}
        self._broker = f"{settings.broker.host}:{settings.broker.port}"
        self._posts: SimpleQueue[Post] = SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._connection = Connection(
            settings.broker,
            f"sender-{outbox.id}",
            subscriptions=[*(receipts_topic(edge, "+") for edge in self._edges(settings.edge)), *self._link.topics],
            on_message=lambda message, epoch: self._posts.put(partial(self._take, message, epoch)),
            on_sent=lambda message, reason: self._posts.put(partial(self._answered, message, reason)),
            on_state=lambda connected: self._posts.put(partial(self._changed, connected=connected)),
        )

    def __enter__(self) -> "Sender":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop sending; what waits is in the outbox."""
        self._stop.set()
        self.wake()
        self._thread.join()

    def _edges(self, own: str) -> set[str]:
        """Name the edges whose receipts we need: our own, and those that faces wait as since a change of name."""
        before = self._outbox.edges() - {own}
        if before and self._link.topics:
            log.error(
                "faces wait as edge %s, and the forwarder carries those of %s alone: set edge back until they are gone",
                *(", ".join(sorted(before)), own),
            )
        return {own} | before

    def wake(self) -> None:
        """Tell that there are new faces."""
        self._posts.put(lambda: None)

    def check(self) -> None:
        """See that sending can go on.

        Raises:
            OutboxDamagedError: The outbox is not whole; the program has to start again to save what can be read.
            OutboxError: It cannot be locked.
        """
        if self._failure:
            raise self._failure

    @property
    def state(self) -> SenderState:
        """How sending goes now."""
        connected, up_since = self._link.connected, self._link.up_since
        quiet = 0.0 if up_since is None else time.monotonic() - max(up_since, self._quiet_since)
        return SenderState(
            broker=self._broker,
            running=time.monotonic() - self._started,
            elected=self._elected,
            connected=connected,
            hops=self._link.hops,
            up=up_since is not None,
            quiet=quiet,
            window=self._window.limit,
            refusal=self._connection.refusal,
            failure=str(self._failure or ""),
        )

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and not self._election.won():
                self._do_posts(STAND_SECONDS)
            if self._stop.is_set():
                return
            self._elected = True
            self._connection.start()
            self._send_until_stopped()
            self._connection.stop()
        except OutboxError as error:
            self._failure = error
        finally:
            self._election.close()

    def _send_until_stopped(self) -> None:
        waits = pauses(30)
        while not self._stop.is_set():
            try:
                self._do_posts(LOOK_SECONDS)
                self._settle()
                self._send_new()
                self._send_overdue()
                self._tell()
                self._outbox.tidy()
                waits = pauses(30)
            except OutboxDamagedError as error:  # noqa: PERF203 - each round stands by itself
                self._failure = error
                return
            except OutboxError as error:
                pause = next(waits)
                log.warning("%s; the sender tries again in %.0f s", error, pause)
                self._stop.wait(pause)
            except Exception:
                log.exception("the sender met what it should not; it goes on in 5 s")
                self._stop.wait(5)

    def _do_posts(self, seconds: float) -> None:
        """Do what was posted; wait for the first post."""
        try:
            self._posts.get(timeout=seconds)()
            while True:
                self._posts.get_nowait()()
        except Empty:
            return

    def _changed(self, *, connected: bool) -> None:
        self._link.connection(time.monotonic(), connected=connected)
        self._too_large.clear()

    def _answered(self, message: int, reason: ReasonCode) -> None:
        self._window.answered(message)
        if reason.is_failure:
            metrics.REJECTED.labels(str(reason)).inc()
            self._warn("broker %s does not take a face: %s; it waits. Check its access list", self._broker, reason)
        elif reason.value == NO_SUBSCRIBER:
            self._warn("broker %s has nobody to give a face to; it waits. Start a subscriber", self._broker)

    def _take(self, message: Message, epoch: int) -> None:
        if message.topic in self._link.topics:
            self._link.hop(message.topic, bytes(message.payload), time.monotonic())
            self._connection.acknowledge(message, epoch)
            return
        try:
            self._receipts.append((message, epoch, load_receipts(bytes(message.payload))))
        except MessageError as error:
            self._warn("receipts on %s cannot be read: %s", message.topic, error)
            self._connection.acknowledge(message, epoch)

    def _settle(self) -> None:
        """Note receipts, many in one transaction, and acknowledge them after it."""
        if not self._receipts:
            return
        self._link.receipt(time.monotonic())
        settled = self._outbox.settle(receipt for *_, receipts in self._receipts for receipt in receipts)
        for row, receipt in settled:
            self._window.settled(row, time.monotonic(), self._link.up_since)
            if receipt.result == "stored":
                metrics.STORED.inc()
            else:
                metrics.REFUSED.labels(receipt.reason).inc()
                log.warning(
                    "face %s is refused: %s; its pixels stay in the outbox", receipt.sha256[:12], receipt.reason
                )
        for message, epoch, _ in self._receipts:
            self._connection.acknowledge(message, epoch)
        self._receipts.clear()
        self._quiet_since = time.monotonic()

    def _send_new(self) -> None:
        """Send the newest and the oldest, each as many as its share of the window allows."""
        if not self._link.connected:
            return
        for lane, ask in ((Lane.LIVE, self._outbox.newest), (Lane.BACKLOG, self._outbox.oldest)):
            room = min(self._window.room(lane), BATCH)
            away = self._window.rows | self._too_large
            rows = [row for row in ask(len(away) + room) if row not in away] if room else []
            # Newest first is a choice of whom, not of the order among those who were chosen.
            for row in sorted(rows[:room]):
                if not self._send(row, lane):
                    return

    def _send_overdue(self) -> None:
        up_since = self._link.up_since
        if up_since is None:
            due = self._window.longest_due(time.monotonic()) if self._link.connected else []
        else:
            due = self._window.overdue(time.monotonic(), up_since)[:BATCH]
        for row in due:
            if not self._send(row, Lane.BACKLOG):
                return
            metrics.RESENT.inc()

    def _send(self, row: int, lane: Lane) -> bool:
        """Hand one face over; False where the connection does not take it."""
        face = self._outbox.message(row)
        if face is None:
            self._window.forget(row)
            return True
        if not self._connection.accepts(*face):
            self._too_large.add(row)
            self._warn("a face of %d bytes is larger than broker %s takes; it waits", len(face[1]), self._broker)
            return True
        message = self._connection.publish(*face)
        if message is None:
            return False
        if not len(self._window):
            self._quiet_since = time.monotonic()
        self._window.sent(row, message, time.monotonic(), lane)
        metrics.SENT.inc()
        return True

    def _tell(self) -> None:
        """Say when the way opens or closes, and say again that the broker is not there."""
        up = self._link.up_since is not None
        if up != self._was_up:
            log.info("the way to the cloud is %s", "open" if up else "closed; faces wait")
        self._was_up = up
        if self._link.connected:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = time.monotonic()
        elif time.monotonic() - self._alone_since > PATIENCE_SECONDS:
            self._warn("faces wait: %s", self.state.obstacle)

    def _warn(self, text: str, *values: object) -> None:
        """Warn, but about one thing not more often than each `REPEAT_SECONDS`."""
        now = time.monotonic()
        if now - self._warned.get(text, -REPEAT_SECONDS) >= REPEAT_SECONDS:
            self._warned[text] = now
            log.warning(text, *values)
