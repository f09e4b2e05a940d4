"""Connect to an MQTT broker. No other module configures paho.

Reasons for the configuration, measured with paho-mqtt 2.2:

* By default the first connection discards the session. So `clean_start` is False, and the session has an expiry.
* Without ReceiveMaximum the broker delivers no more than 20 unacknowledged messages.
* An acknowledgement is valid only in the connection of its message. So each connection has an epoch.
* A broker can refuse or ignore a subscription on a live connection. So `Subscription` waits for the answer.
"""

import logging
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from face_app.common.errors import BrokerError, SettingsError
from face_app.common.settings import Broker

log = logging.getLogger(__name__)

SESSION_SECONDS = 86400
"""Seconds for which the broker retains the session of a lost connection."""
OVERHEAD_BYTES = 16
"""Maximum bytes of a PUBLISH besides topic and payload: header, lengths and packet id. It has no properties."""
# MQTT 5 CONNACK reasons that a retry would get again: bad client id, user or password, not authorised, banned.
_FINAL = {0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C}

Message = paho.MQTTMessage


class Connection:
    """Maintains one session with one broker: reconnects after a loss, and subscribes after each connect.

    Attributes:
        epoch: Number of the current connection. A message is acknowledged only in the epoch it arrived in.
        refusal: Reason of a permanent refusal by the broker; None if there is none.
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
        receive_maximum: int = 200,
        will: tuple[str, bytes] | None = None,
    ) -> None:
        """Prepare the connection; `start` opens it.

        Args:
            broker: Address and identity.
            client_id: Stable name of the session.
            subscriptions: Topic filters, all at QoS 1.
            on_message: Called in the network thread with the message and its epoch. It must not block for long.
            on_sent: Called with message id and reason code after the broker has answered a publish. It runs under a
                lock of paho, so it must not wait for a thread that publishes.
            on_state: Called with True after a connect, with False after a loss or a permanent refusal.
            receive_maximum: Maximum number of unacknowledged messages that the broker delivers. The default is enough
                for receipts: one message contains many.
            will: Topic and state that the broker publishes (retained) when the connection breaks.

        Raises:
            SettingsError: An identity file cannot be read.
        """
        self.epoch = 0
        self.refusal: str | None = None
        self.max_packet_bytes: int | None = None
        self._broker = broker
        self._on_message = on_message
        self._on_sent = on_sent
        self._on_state = on_state
        self._receive_maximum = receive_maximum
        self._epoch_lock = threading.Lock()
        self._subscription = Subscription(subscriptions, f"{broker.host}:{broker.port}", self._subscribe)
        self._connected = threading.Event()
        self._outcome = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv5, manual_ack=True
        )
        # Publishes without an answer of the broker. paho's default is 20, less than the window of the sender.
        self._client.max_inflight_messages_set(100)
        if will:
            self._client.will_set(*will, qos=0, retain=True)
        self._client.reconnect_delay_set(min_delay=1, max_delay=30)
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
            if broker.ca_file:
                self._client.tls_set(
                    ca_certs=str(broker.ca_file),
                    certfile=str(broker.cert_file) if broker.cert_file else None,
                    keyfile=str(broker.key_file) if broker.key_file else None,
                    tls_version=ssl.PROTOCOL_TLS_CLIENT,
                )
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
        if self.refusal:
            return f"the broker refuses the connection: {self.refusal}"
        return self._subscription.problem if self.connected else "the broker is not connected"

    def start(self) -> None:
        """Connect in a network thread; it reconnects after each loss."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_SECONDS
        properties.ReceiveMaximum = self._receive_maximum
        self._client.connect_async(
            self._broker.host,
            self._broker.port,
            keepalive=self._broker.keepalive,
            clean_start=False,
            properties=properties,
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
        if self.refusal:
            raise BrokerError(f"broker {self._broker.host}:{self._broker.port} refuses the connection: {self.refusal}")
        return self.connected

    def publish(self, topic: str, payload: bytes) -> int | None:
        """Publish one message at QoS 1.

        Returns:
            The message id that `on_sent` receives; None if the message is not accepted: no connection, or a full queue.
        """
        if not self.connected:
            return None
        info = self._client.publish(topic, payload, qos=1)
        # If the connection is lost meanwhile, paho queues the message and sends it after the next connect.
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
        """Disconnect; the broker retains the session."""
        self._client.disconnect()
        self._client.loop_stop()

    def _connect_answered(
        self, _client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        where = f"{self._broker.host}:{self._broker.port}"
        if reason.is_failure:
            log.warning("broker %s refuses the connection: %s", where, reason)
            if reason.value in _FINAL:
                self.refusal = str(reason)
                self._outcome.set()
                if self._on_state:
                    self._on_state(False)
            return
        with self._epoch_lock:
            self.refusal = None
            self.max_packet_bytes = getattr(properties, "MaximumPacketSize", None)
            self.epoch += 1
            self._connected.set()
        self._subscription.request()
        self._outcome.set()
        log.info("connected to broker %s", where)
        if self._on_state:
            self._on_state(True)

    def _disconnected(
        self, _client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if self._connected.is_set():
            level = logging.WARNING if reason.is_failure else logging.DEBUG  # no failure: `stop` was called
            log.log(level, "lost broker %s:%d: %s", self._broker.host, self._broker.port, reason)
            with self._epoch_lock:
                self._connected.clear()
            self._subscription.cancel()
            if self._on_state:
                self._on_state(False)

    def _subscribe(self, topics: list[str]) -> None:
        self._client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in topics])

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


RETRY_SECONDS = 10.0
"""Seconds until a refused or unanswered subscription is requested again."""


class Subscription:
    """Requests the topic filters of one connection until the broker grants them. Thread-safe.

    A broker can refuse or ignore a SUBSCRIBE on a live connection. Then no message
    arrives, and nothing else shows the fault.

    Attributes:
        granted: True while the broker has granted all filters on the current connection.
    """

    def __init__(self, topics: list[str], where: str, subscribe: Callable[[list[str]], None]) -> None:
        """Prepare the subscription; `request` sends the first SUBSCRIBE.

        Args:
            topics: Topic filters.
            where: Host and port of the broker, for the log.
            subscribe: Sends one SUBSCRIBE for these topics; must not wait for the answer.
        """
        self.granted = False
        self._topics = topics
        self._names = [_without_group(topic) for topic in topics]
        self._where = where
        self._subscribe = subscribe
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._refused = ""
        self._logged = ""

    @property
    def problem(self) -> str:
        """Return the reason why no message arrives on a live connection; empty while granted."""
        if self.granted:
            return ""
        return self._refused or f"broker {self._where} has not answered the subscription to {', '.join(self._names)}"

    def request(self) -> None:
        """Send a SUBSCRIBE on a new connection."""
        with self._lock:
            self._refused = ""
            if self._topics:
                self._send()
            else:
                self.granted = True

    def answered(self, reasons: Iterable[ReasonCode]) -> None:
        """Handle the SUBACK: one reason for each topic."""
        refusals = [
            f"{name} ({reason})" for name, reason in zip(self._names, reasons, strict=False) if reason.is_failure
        ]
        with self._lock:
            if refusals:
                self._refused = f"broker {self._where} refuses the subscription to {', '.join(refusals)}; check its ACL"
                self._log_problem()
                return
            self._drop_timer()
            self.granted = True
            if self._logged:
                log.info("broker %s granted the subscription", self._where)
            self._logged = ""

    def cancel(self) -> None:
        """Stop requesting: the connection is lost."""
        with self._lock:
            self.granted = False
            self._drop_timer()

    def _send(self) -> None:
        self._drop_timer()
        self._timer = timer = threading.Timer(RETRY_SECONDS, lambda: self._retry(timer))
        timer.daemon = True
        timer.start()
        self._subscribe(self._topics)

    def _retry(self, timer: threading.Timer) -> None:
        with self._lock:
            if timer is self._timer:
                self._log_problem()
                self._send()

    def _drop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _log_problem(self) -> None:
        if self.problem != self._logged:
            self._logged = self.problem
            log.error("%s; requesting it again", self._logged)


def _without_group(topic: str) -> str:
    """Return a topic filter for messages: the name of a shared subscription's group is a secret."""
    return topic.split("/", 2)[2] if topic.startswith("$share/") else topic
