"""Maintain a connection to an MQTT broker. No other module configures paho.

Reasons for the configuration, measured with paho-mqtt 2.2:

* By default the first connection discards the session. So `clean_start` is False, and each session has its own expiry.
* Without ReceiveMaximum, Mosquitto delivers no more than 20 unacknowledged messages.
* Without MaximumPacketSize the broker delivers messages of up to 256 MB, and paho assembles each in memory.
* An acknowledgement is valid only in the connection of its message. So each connection has an epoch.
* A broker can refuse or ignore a subscription on a live connection. So `Subscription` waits for the answer.
"""

import logging
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from face_app.common.errors import BrokerError, SettingsError
from face_app.common.mqtt.failures import Failures
from face_app.common.mqtt.probe import tls_context
from face_app.common.mqtt.subscription import Subscription
from face_app.common.settings import Broker

log = logging.getLogger(__name__)

DEFAULT_MAX_PACKET_BYTES = 65_536
"""Maximum bytes of a packet from the broker. That is enough for a client that needs only states and commands."""
OVERHEAD_BYTES = 16
"""Maximum bytes of a PUBLISH besides topic and payload: header, lengths and packet id. It has no properties."""
RECONNECT_SECONDS = 30
"""Maximum seconds between two attempts to connect; the first is after one second, and each wait is twice the last."""
# Answers to a CONNECT that a retry would get again until a setting is corrected. paho retries all the same.
_FINAL = {
    0x81,  # malformed packet
    0x82,  # protocol error
    0x84,  # unsupported protocol version
    0x85,  # client identifier not valid
    0x86,  # bad user name or password
    0x87,  # not authorized
    0x8A,  # banned
    0x8C,  # bad authentication method
}

Message = paho.MQTTMessage


class Connection:
    """Maintains one session with one broker: reconnects after a loss, and subscribes after each connect.

    Attributes:
        epoch: Number of the current connection. A message is acknowledged only in the epoch it arrived in.
        refused: True after a permanent refusal by the broker, until it accepts a later attempt.
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
        max_received_bytes: int = DEFAULT_MAX_PACKET_BYTES,
        will: tuple[str, bytes] | None = None,
        new_only: bool = False,
        reconnect_seconds: int = RECONNECT_SECONDS,
        quiet: bool = False,
    ) -> None:
        """Prepare the connection; `start` opens it.

        Args:
            broker: Address and identity.
            client_id: Name of the session, which the function `client_id` makes.
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
        # Publishes that the broker has not acknowledged. paho's default is 20, less than the window of the sender.
        self._client.max_inflight_messages_set(100)
        if will:
            self._client.will_set(*will, qos=0, retain=True)
        self._client.reconnect_delay_set(min_delay=1, max_delay=reconnect_seconds)
        self._client.on_pre_connect = self._paho_pre_connect
        self._client.on_connect_fail = self._paho_connect_fail
        self._client.on_log = self._paho_log
        self._client.on_connect = self._paho_connect
        self._client.on_disconnect = self._paho_disconnect
        self._client.on_subscribe = self._paho_subscribe
        self._client.on_message = self._paho_message
        self._client.on_publish = self._paho_publish
        self._failures = Failures(broker, self._identify(), logging.DEBUG if quiet else logging.WARNING)

    def _identify(self) -> ssl.SSLContext | None:
        """Give paho user and certificate; return the TLS configuration, None without TLS."""
        broker = self._broker
        try:
            if broker.username:
                password = _first_line(broker.password_file) if broker.password_file else None
                self._client.username_pw_set(broker.username, password)
            tls = tls_context(broker)
            if tls:
                self._client.tls_set_context(tls)
        except (OSError, ValueError) as error:
            files = (broker.password_file, broker.ca_file, broker.cert_file, broker.key_file)
            names = ", ".join(str(file) for file in files if file)
            raise SettingsError(f"broker identity ({names}) cannot be read: {error}") from error
        return tls

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
        return f"broker {self._where} {self._failures.cause}"

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
        """Wait until an attempt to connect succeeds, or is refused permanently.

        Returns:
            True if connected; False if `timeout` seconds passed before, or the connection was lost after it succeeded.

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
            The message id that `on_sent` receives; None without a connection, or while all ids are in use.
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

    def _paho_connect(
        self, _client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        if reason.is_failure:
            self._failures.refused(reason)  # before the flag: who sees it reads the cause
            self.refused = reason.value in _FINAL
            if self.refused:
                self._outcome.set()
                if self._on_state:
                    self._on_state(False)
            return
        # The caller sends lost messages again. paho would send all of them at once, also one that ends the connection.
        self._client.drop_out_messages()
        self._failures.connected()
        with self._epoch_lock:
            self.refused = False
            self.max_packet_bytes = getattr(properties, "MaximumPacketSize", None)
            self.epoch += 1
            self._connected.set()
        self._subscription.request()
        self._outcome.set()
        log.info("connected to broker %s", self._where)
        if self._on_state:
            self._on_state(True)

    def _paho_disconnect(
        self, _client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if not self._connected.is_set():
            if reason.is_failure:
                self._failures.attempt_ended(reason)
            return
        with self._epoch_lock:
            self._connected.clear()
        if reason.is_failure:  # otherwise `stop` was called
            self._failures.lost(reason)
        self._subscription.cancel()
        if self._on_state:
            self._on_state(False)

    def _paho_pre_connect(self, _client: paho.Client, _userdata: Any) -> None:
        self._failures.attempt_begins()

    def _paho_connect_fail(self, _client: paho.Client, _userdata: Any) -> None:
        self._failures.not_reached(sys.exc_info()[1])

    def _paho_log(self, _client: paho.Client, _userdata: Any, level: int, _text: str) -> None:
        # paho reports errors of a socket only as text. It logs inside its `except` block, which still has the error.
        error = sys.exc_info()[1]
        if level == paho.MQTT_LOG_ERR and isinstance(error, OSError):
            self._failures.socket_failed(error)

    def _subscribe(self, topics: list[str]) -> None:
        options = SubscribeOptions(qos=1, retainHandling=self._retain_handling)
        self._client.subscribe([(topic, options) for topic in topics])

    def _paho_subscribe(
        self, _client: paho.Client, _userdata: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        self._subscription.answered(reasons)

    def _paho_message(self, _client: paho.Client, _userdata: Any, message: Message) -> None:
        try:
            self._on_message(message, self.epoch)
        except Exception:  # an exception here would end paho's thread silently
            log.exception("message on %s could not be handled; the broker redelivers it", message.topic)

    def _paho_publish(
        self, _client: paho.Client, _userdata: Any, mid: int, reason: ReasonCode, _properties: Any
    ) -> None:
        if self._on_sent:
            self._on_sent(mid, reason)


def _first_line(file: Path) -> str:
    """Return the first line of a file with a password."""
    lines = file.read_text().splitlines()
    if not lines:
        raise ValueError(f"{file} is empty")
    return lines[0]
