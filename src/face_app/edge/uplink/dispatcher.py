"""Publish the selected faces, and record the broker's answers."""

import logging
import time

from paho.mqtt.reasoncodes import ReasonCode

from face_app.common.log import RateLimitedLog
from face_app.common.mqtt import Connection
from face_app.edge import metrics
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.uplink.selection import Batch, Selection
from face_app.edge.uplink.send_window import SendWindow
from face_app.edge.uplink.suspects import Suspects

log = logging.getLogger(__name__)

NO_SUBSCRIBER = 0x10
"""MQTT 5 PUBACK reason "No matching subscribers": the broker accepted the message and delivered it to no client."""
PACKET_TOO_LARGE = 0x95
"""MQTT 5 PUBACK reason "Packet too large"; Mosquitto sends it for `message_size_limit`."""


class Dispatcher:
    """Publishes new, lost and overdue faces. The thread of the sender calls it.

    Attributes:
        busy_since: Time since which faces are in flight without interruption, seconds on the monotonic clock.
    """

    def __init__(
        self, outbox: Outbox, window: SendWindow, connection: Connection, broker: str, warnings: RateLimitedLog
    ) -> None:
        """Prepare for the first face.

        Args:
            outbox: Provides the faces.
            window: Limits the faces in flight.
            connection: Connection to the broker.
            broker: Host and port, for messages.
            warnings: Receives repeated warnings.
        """
        self.busy_since = 0.0
        self._outbox = outbox
        self._window = window
        self._connection = connection
        self._broker = broker
        self._warn = warnings.warning
        self._suspects = Suspects()
        self._selection = Selection(outbox, window, self._suspects)
        self._sizes: dict[int, int] = {}

    @property
    def aside(self) -> int:
        """Return the number of waiting faces that do not pass, although others do."""
        return len(self._selection.larger) + len(self._suspects.aside) + self._window.overtaken

    @property
    def aside_reason(self) -> str:
        """Return the reason for the faces aside; empty if there are none."""
        larger = len(self._selection.larger)
        aside = self._suspects.aside.copy()  # a copy for the threads of health checks
        reasons = []
        if larger:
            limit = self._connection.max_packet_bytes
            reasons.append(f"faces larger than broker {self._broker} accepts, {limit} bytes: {larger}; raise its limit")
        if aside:
            reasons.append(
                f"faces set aside, of {min(aside.values())} bytes or more: {len(aside)}; broker {self._broker}, or a "
                "proxy before it, rejects them or closes the connection: raise its limit of the message size"
            )
        if self._window.overtaken:
            reasons.append(
                f"faces without a receipt, although later ones have theirs: {self._window.overtaken}; check the log of "
                "the subscriber, its max_bytes and the limits of the brokers between"
            )
        return "; ".join(reasons)

    def connection_opened(self) -> None:
        """Record that the connection opened: its limit may be another."""
        self._selection.larger.clear()

    def connection_lost(self) -> None:
        """Record that the connection is lost: no outstanding publish gets an answer."""
        lost = {row: self._sizes.get(row, 0) for row in self._window.record_connection_lost()}
        self._sizes.clear()
        if self._suspects.connection_lost(lost, time.monotonic()) is not None:
            for row in self._suspects.aside:
                self._window.discard(row)
            log.warning("%s. Other faces pass", self.aside_reason)

    def acknowledged(self, message: int, reason: ReasonCode) -> None:
        """Record the broker's answer to a publish."""
        row = self._window.record_acknowledgement(message)
        if reason.value == NO_SUBSCRIBER:
            self._warn("broker %s has no subscriber for a face; it waits. Start a subscriber", self._broker)
        if row is None:
            return
        size = self._sizes.pop(row, 0)
        if reason.value == PACKET_TOO_LARGE:
            metrics.REJECTED.labels(str(reason)).inc()
            self._window.discard(row)
            self._suspects.too_large(row, size, time.monotonic())
            self._warn("%s. Other faces pass", self.aside_reason)
        elif reason.is_failure:
            metrics.REJECTED.labels(str(reason)).inc()
            self._suspects.discard(row)
            self._warn("broker %s rejects a face: %s; it waits. Check the broker's ACL", self._broker, reason)
        else:
            self._suspects.acknowledged(row, size)

    def record_receipt(self, row: int) -> None:
        """Record that a face got its receipt."""
        self._suspects.discard(row)

    def dispatch(self, up_since: float | None) -> None:
        """Publish what may be published now; the connection must be open.

        Args:
            up_since: Time since which the uplink is up; None while it is down.
        """
        for batch in self._selection.batches(up_since):
            if batch.rows and not self._publish(batch):
                return

    def _publish(self, batch: Batch) -> bool:
        """Publish the faces of a batch that still wait; the outbox is read once for all.

        Returns:
            False if the connection is lost or its queue is full.
        """
        faces = self._outbox.payloads(batch.rows)
        for row in batch.rows:
            if row not in faces:
                self._window.discard(row)
                self._suspects.discard(row)
            elif not self._send(row, *faces[row], batch):
                return False
            if batch.overdue:
                metrics.RESENT.inc()
        return True

    def _send(self, row: int, topic: str, pixels: bytes, batch: Batch) -> bool:
        size = len(pixels)
        if not self._connection.accepts(topic, pixels):
            self._window.discard(row)
            self._suspects.discard(row)
            self._selection.larger.add(row)
            self._warn("%s. Other faces pass", self.aside_reason)
            return True
        if not batch.alone and self._suspects.withholds(row, size):
            if row in self._suspects.aside:
                self._window.discard(row)
            return True
        message = self._connection.publish(topic, pixels)
        if message is None:
            return False
        now = time.monotonic()
        if not len(self._window):
            self.busy_since = now
        if batch.alone:
            self._suspects.started(row, now)
        self._window.record_sent(row, message, now, batch.lane)
        self._sizes[row] = size
        metrics.SENT.inc()
        return True
