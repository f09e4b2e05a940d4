"""Record why a broker is not connected, and log each new cause once."""

import logging
import ssl
import threading
import time

from paho.mqtt.reasoncodes import ReasonCode

from face_app.common.mqtt.causes import SILENT, cause_of_error, cause_of_loss, cause_of_refusal
from face_app.common.mqtt.probe import diagnose
from face_app.common.settings import Broker

log = logging.getLogger(__name__)

PROBE_SECONDS = 60.0
"""Minimum seconds between two probes. A busy broker must not receive extra handshakes because it answers slowly. One
probe takes less time than this."""


class Failures:
    """Finds out why each attempt to connect failed, and why a connection was lost.

    Its methods are called in paho's network thread. A probe has a thread of its own.

    Attributes:
        cause: End of a sentence about the broker, which is true while it is not connected.
    """

    def __init__(self, broker: Broker, tls: ssl.SSLContext | None, level: int) -> None:
        """Start without a cause.

        Args:
            broker: Address and identity.
            tls: TLS configuration of the connection; None: without TLS.
            level: Level at which causes are logged.
        """
        self.cause = "is not connected yet"
        self._broker = broker
        self._tls = tls
        self._level = level
        self._socket_error: OSError | None = None
        self._answered = False
        self._next_probe = 0.0
        self._lock = threading.Lock()
        self._events = 0
        """Number of causes and connections so far; a probe is outdated after the next one."""

    def attempt_begins(self) -> None:
        """Forget the previous attempt."""
        self._socket_error = None
        self._answered = False

    def socket_failed(self, error: OSError) -> None:
        """Remember the error that ends a connection or an attempt; paho reports the end without it."""
        self._socket_error = error

    def connected(self) -> None:
        """Forget the cause, because the broker has accepted this client."""
        self._answered = True
        with self._lock:
            self._events += 1
            self.cause = "is not connected"

    def refused(self, reason: ReasonCode) -> None:
        """Record that the broker has refused this client."""
        self._answered = True
        self._record(f"refuses the connection: {cause_of_refusal(reason, self._broker)}")

    def lost(self, reason: ReasonCode) -> None:
        """Record that an open connection has ended."""
        self._record(f"is lost: {cause_of_loss(reason, self._socket_error)}")

    def attempt_ended(self, reason: ReasonCode) -> None:
        """Record that an attempt has ended, unless the broker has answered it."""
        if self._answered:
            return
        if reason.getName() == "Keep alive timeout":
            self._record(f"is not reached: {SILENT}")
        else:
            self.not_reached(self._socket_error)

    def not_reached(self, error: BaseException | None) -> None:
        """Record why the broker is not reached. If the error does not show it, a thread finds out by a probe."""
        cause = cause_of_error(error, self._broker) if error else None
        if cause:
            self._record(f"is not reached: {cause}")
        elif time.monotonic() >= self._next_probe:
            self._next_probe = time.monotonic() + PROBE_SECONDS
            # Not in this thread: a stop would wait for it.
            threading.Thread(target=self._probe, args=(self._events,), name="probe", daemon=True).start()

    def _probe(self, events: int) -> None:
        self._record(f"is not reached: {diagnose(self._broker, self._tls)}", events)

    def _record(self, cause: str, events: int | None = None) -> None:
        """Record a cause; one that was found after `events` events only if none has followed."""
        with self._lock:
            if events not in {None, self._events}:
                return
            self._events += 1
            cause = self._broker.rename_settings(cause)
            if cause == self.cause:
                return
            self.cause = cause
        log.log(self._level, "broker %s:%d %s", self._broker.host, self._broker.port, cause)
