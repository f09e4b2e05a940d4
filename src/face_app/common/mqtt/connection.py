"""Maintain a connection to an MQTT broker. No other module configures paho.

Reasons for the configuration, measured with paho-mqtt 2.2:

* By default the first connection discards the session. So `clean_start` is False, and each session has its own expiry.
* Without ReceiveMaximum the broker delivers no more than 20 unacknowledged messages.
* Without MaximumPacketSize the broker delivers messages of up to 256 MB, and paho assembles each in memory.
* An acknowledgement is valid only in the connection of its message. So each connection has an epoch.
* A broker can refuse or ignore a subscription on a live connection. So `Subscription` waits for the answer.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from face_app.common.errors import BrokerError, SettingsError
from face_app.common.mqtt.causes import SILENT, cause_of_error, cause_of_loss, cause_of_refusal
from face_app.common.mqtt.probe import diagnose, tls_context
from face_app.common.mqtt.subscription import Subscription
from face_app.common.settings import Broker

log = logging.getLogger(__name__)

SMALL_PACKET = 65_536
"""Maximum bytes of a packet from the broker, if a client needs only states and commands."""
OVERHEAD_BYTES = 16
"""Maximum bytes of a PUBLISH besides topic and payload: header, lengths and packet id. It has no properties."""
RECONNECT_SECONDS = 30
"""Maximum seconds between two attempts to connect; the first is after one second, and each wait is twice the last."""
PROBE_SECONDS = 60.0
"""Minimum seconds between two probes: a busy broker that does not answer a fleet in time must not get more handshakes
for it. A probe ends sooner."""
# MQTT 5 CONNACK reasons that a retry would get again: bad client id, user or password, not authorised, banned.
_FINAL = {0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C}

Message = paho.MQTTMessage


class Connection:
    """Maintains one session with one broker: reconnects after a loss, and subscribes after each connect.

    Attributes:
        epoch: Number of the current connection. A message is acknowledged only in the epoch it arrived in.
        refused: True after a permanent refusal by the broker.
        max_packet_bytes: Maximum size of a packet that the broker accepts; None if there is no limit.
    """

    def __init__(  # noqa: PLR0913
        self,
        broker: Broker,
        client_id: str,
        *,
        subscriptions: list[str],
        on_message: Callable[[Message, int], None],
        on_sent: Callable[[int, ReasonCode], None] | None = None,
        on_state: Callable[[bool], None] | None = None,
        session_seconds: int = 0,
        receive_maximum: int = 200,
        max_received_bytes: int = SMALL_PACKET,
        will: tuple[str, bytes] | None = None,
        new_only: bool = False,
        reconnect_seconds: int = RECONNECT_SECONDS,
        quiet: bool = False,
    ) -> None:
        """Prepare the connection; `start` opens it.

        Args:
            broker: Address and identity.
            client_id: Name of the session, from `client_id`.
            subscriptions: Topic filters, all at QoS 1.
            on_message: Called in the network thread with the message and its epoch. It must not block for long.
            on_sent: Called with message id and reason code after the broker has answered a publish; never for a publish
                whose connection was lost. It runs under a lock of paho, so it must not wait for a thread that
                publishes.
            on_state: Called with True after a connect, with False after a loss or a permanent refusal.
            session_seconds: Seconds for which the broker retains the session of a lost connection; 0: not at all.
            receive_maximum: Maximum number of unacknowledged messages that the broker delivers. The default is enough
                for receipts: one message contains many.
            max_received_bytes: Maximum size of a packet that the broker may deliver; it drops a larger one.
            will: Topic and state that the broker publishes (retained) when the connection breaks.
            new_only: Receive no retained messages, which were published before the subscription.
            reconnect_seconds: Maximum seconds between two attempts to connect.
            quiet: Log failures at the level debug, because another connection of the program logs them.

        Raises:
            SettingsError: An identity file cannot be read.
        """
        self.epoch = 0
        self.refused = False
        self.max_packet_bytes: int | None = None
        self._broker = broker
        self._where = f"{broker.host}:{broker.port}"
        self._cause = "is not connected yet"
        self._error: OSError | None = None
        self._answered = False
        self._level = logging.DEBUG if quiet else logging.WARNING
        self._next_probe = 0.0
        self._retain_handling = (
            SubscribeOptions.RETAIN_DO_NOT_SEND if new_only else SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
        )
        self._on_message = on_message
        self._on_sent = on_sent
        self._on_state = on_state
        self._properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        self._properties.SessionExpiryInterval = session_seconds
        self._properties.ReceiveMaximum = receive_maximum
        self._properties.MaximumPacketSize = max_received_bytes
        self._epoch_lock = threading.Lock()
        self._subscription = Subscription(subscriptions, self._where, self._subscribe)
        self._connected = threading.Event()
        self._outcome = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv5, manual_ack=True
        )
        # Publishes without an answer of the broker. paho's default is 20, less than the window of the sender.
        self._client.max_inflight_messages_set(100)
        if will:
            self._client.will_set(*will, qos=0, retain=True)
        self._client.reconnect_delay_set(min_delay=1, max_delay=reconnect_seconds)
        self._client.on_pre_connect = self._attempt_begins
        self._client.on_connect_fail = self._connect_failed
        self._client.on_log = self._paho_logged
        self._client.on_connect = self._connect_answered
        self._client.on_disconnect = self._disconnected
        self._client.on_subscribe = self._subscribe_answered
        self._client.on_message = self._message
        self._client.on_publish = self._published
        self._identify()

    def _identify(self) -> None:
        broker = self._broker
        try:
            if broker.username:
                file = broker.password_file
                password = file.read_text().splitlines()[0] if file else None
                self._client.username_pw_set(broker.username, password)
            self._tls = tls_context(broker)
            if self._tls:
                self._client.tls_set_context(self._tls)
        except (OSError, IndexError, ValueError) as error:
            files = (broker.password_file, broker.ca_file, broker.cert_file, broker.key_file)
            names = ", ".join(str(file) for file in files if file)
            raise SettingsError(f"broker identity ({names}) cannot be read: {error}") from error

    @property
    def connected(self) -> bool:
        """Return True while the connection is open and the broker has accepted this client."""
        return self._connected.is_set()

    @property
    def subscribed(self) -> bool:
        """Return True while the broker has granted every subscription on the current connection."""
        return self.connected and self._subscription.granted

    @property
    def problem(self) -> str:
        """Return the reason why no message can arrive; empty while connected and subscribed."""
        if self.connected:
            return self._subscription.problem
        return f"broker {self._where} {self._cause}"

    def start(self) -> None:
        """Connect in a network thread; it reconnects after each loss."""
        self._client.connect_async(
            self._broker.host,
            self._broker.port,
            keepalive=self._broker.keepalive,
            clean_start=False,
            properties=self._properties,
        )
        self._client.loop_start()

    def wait_for_outcome(self, timeout: float | None = None) -> bool:
        """Wait until the first connection attempt succeeds or is refused.

        Returns:
            True if connected; False if `timeout` seconds passed before, or the connection is lost again.

        Raises:
            BrokerError: The broker refuses the connection permanently.
        """
        self._outcome.wait(timeout)
        if self.refused:
            raise BrokerError(self.problem)
        return self.connected

    def publish(self, topic: str, payload: bytes) -> int | None:
        """Publish one message at QoS 1.

        Returns:
            The message id that `on_sent` receives; None if the message is not accepted: no connection, or a full queue.
        """
        if not self.connected:
            return None
        info = self._client.publish(topic, payload, qos=1)
        # If the connection is lost meanwhile, the next connect drops the message.
        return info.mid if info.rc in {paho.MQTT_ERR_SUCCESS, paho.MQTT_ERR_NO_CONN} else None

    def publish_retained(self, topic: str, state: bytes) -> bool:
        """Publish a retained state, which replaces the last one on its topic.

        QoS 0 is used, so that neither paho nor a broker queues outdated states. The caller publishes again on the
        next connection (see `epoch`).

        Returns:
            False if there is no connection.
        """
        return self.connected and self._client.publish(topic, state, qos=0, retain=True).rc == paho.MQTT_ERR_SUCCESS

    def accepts(self, topic: str, payload: bytes) -> bool:
        """Return False if a message exceeds the broker's size limit: the broker would close the connection."""
        return (
            self.max_packet_bytes is None
            or len(topic.encode()) + len(payload) + OVERHEAD_BYTES <= self.max_packet_bytes
        )

    def acknowledge(self, message: Message, epoch: int) -> None:
        """Acknowledge a message of the current connection; the broker redelivers those of older connections."""
        # paho would queue the acknowledgement for the next connection, where its id belongs to another message.
        with self._epoch_lock:
            if epoch == self.epoch and self.connected:
                self._client.ack(message.mid, message.qos)

    def stop(self) -> None:
        """Disconnect; the broker retains the session for `session_seconds`."""
        self._client.disconnect()
        self._client.loop_stop()

    def _connect_answered(
        self, _client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        self._answered = True
        if reason.is_failure:
            self.refused = reason.value in _FINAL
            self._record(f"refuses the connection: {cause_of_refusal(reason, self._broker)}")
            if self.refused:
                self._outcome.set()
                if self._on_state:
                    self._on_state(False)
            return
        # The caller sends lost messages again. paho would send all of them at once, also one that ends the connection.
        self._client.drop_out_messages()
        with self._epoch_lock:
            self.refused = False
            self._cause = ""
            self.max_packet_bytes = getattr(properties, "MaximumPacketSize", None)
            self.epoch += 1
            self._connected.set()
        self._subscription.request()
        self._outcome.set()
        log.info("connected to broker %s", self._where)
        if self._on_state:
            self._on_state(True)

    def _disconnected(
        self, _client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if not self._connected.is_set():
            if reason.is_failure and not self._answered:
                self._attempt_failed(self._error, silent=reason.getName() == "Keep alive timeout")
            return
        with self._epoch_lock:
            self._connected.clear()
        if reason.is_failure:  # otherwise `stop` was called
            self._record(f"is lost: {cause_of_loss(reason, self._error)}")
        self._subscription.cancel()
        if self._on_state:
            self._on_state(False)

    def _attempt_begins(self, _client: paho.Client, _userdata: Any) -> None:
        self._error = None
        self._answered = False

    def _connect_failed(self, _client: paho.Client, _userdata: Any) -> None:
        self._attempt_failed(sys.exc_info()[1])

    def _paho_logged(self, _client: paho.Client, _userdata: Any, level: int, _text: str) -> None:
        # paho reports errors of a socket only as text. It logs them where it handles the exception.
        error = sys.exc_info()[1]
        if level == paho.MQTT_LOG_ERR and isinstance(error, OSError):
            self._error = error

    def _attempt_failed(self, error: BaseException | None, *, silent: bool = False) -> None:
        """Record why the broker is not reached. If the error does not show it, a thread finds out by a probe."""
        cause = SILENT if silent else cause_of_error(error, self._broker) if error else None
        if cause:
            self._record(f"is not reached: {cause}")
        elif time.monotonic() >= self._next_probe:
            self._next_probe = time.monotonic() + PROBE_SECONDS
            # Not in this thread: a stop would wait for it.
            threading.Thread(target=self._diagnose, args=(self.epoch,), name="probe", daemon=True).start()

    def _diagnose(self, epoch: int) -> None:
        cause = diagnose(self._broker, self._tls)
        if epoch == self.epoch:
            self._record(f"is not reached: {cause}")

    def _record(self, cause: str) -> None:
        cause = self._broker.rename_settings(cause)
        if cause != self._cause:
            self._cause = cause
            log.log(self._level, "broker %s %s", self._where, cause)

    def _subscribe(self, topics: list[str]) -> None:
        options = SubscribeOptions(qos=1, retainHandling=self._retain_handling)
        self._client.subscribe([(topic, options) for topic in topics])

    def _subscribe_answered(
        self, _client: paho.Client, _userdata: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        self._subscription.answered(reasons)

    def _message(self, _client: paho.Client, _userdata: Any, message: Message) -> None:
        try:
            self._on_message(message, self.epoch)
        except Exception:  # an exception here would end paho's thread silently
            log.exception("message on %s could not be handled; the broker redelivers it", message.topic)

    def _published(self, _client: paho.Client, _userdata: Any, mid: int, reason: ReasonCode, _properties: Any) -> None:
        if self._on_sent:
            self._on_sent(mid, reason)
