"""The one place that sets paho up.

What is not obvious, and measured (paho-mqtt 2.2): the default first connection wipes the session, so
`clean_start` is always False and the session has an expiry of its own; without ReceiveMaximum the broker stops
at 20 unacknowledged messages; an acknowledgement belongs to one connection, so each connection has an epoch; a
subscription may be refused, or never answered, on a connection that stands, so its answer is waited for.
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
PACKET_BYTES = 16
"""Of a PUBLISH besides topic and payload, at most: header, lengths, packet id, no properties."""
# MQTT 5 CONNACK reasons that no waiting cures: bad client id, user or password, not authorised, banned.
_FINAL = {0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C}

Message = paho.MQTTMessage


class Connection:
    """One session with one broker: reconnects by itself, subscribes again after each connect.

    Attributes:
        epoch: Counts connections; a message is acknowledged only in the epoch it came in.
        refusal: The broker's reason when it refuses us for good, else None.
        largest: Bytes of the largest packet that the broker takes; None where it names none.
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
        """Prepare a connection; `start` makes it.

        Args:
            broker: Where, and as whom.
            client_id: Stable name of the session at the broker.
            subscriptions: Topic filters, all at QoS 1.
            on_message: Called in the network thread with the message and its epoch. Must not block for long.
            on_sent: Called with message id and reason when the broker has answered a publish. Runs under a
                lock of paho's: it may not wait for a thread that publishes.
            on_state: Called with True after a connect, with False after a loss or a refusal for good.
            receive_maximum: Most messages that the broker hands over unacknowledged.
            will: Topic and state that the broker tells, as `tell` would, when it loses us without a word.

        Raises:
            SettingsError: A file of the identity cannot be read.
        """
        self.epoch = 0
        self.refusal: str | None = None
        self.largest: int | None = None
        self._broker = broker
        self._on_message = on_message
        self._on_sent = on_sent
        self._on_state = on_state
        self._receive_maximum = receive_maximum
        self._turn = threading.Lock()
        self._subscription = Subscription(subscriptions, f"{broker.host}:{broker.port}", self._subscribe)
        self._connected = threading.Event()
        self._settled = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv5, manual_ack=True
        )
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
        """Whether the broker has accepted us and the link stands."""
        return self._connected.is_set()

    @property
    def subscribed(self) -> bool:
        """Whether the broker has granted every subscription on the present link."""
        return self.connected and self._subscription.granted

    @property
    def problem(self) -> str:
        """Why no message can come now; empty when the link stands and every subscription is granted."""
        if self.refusal:
            return f"the broker refuses us: {self.refusal}"
        return self._subscription.problem if self.connected else "the broker is not connected"

    def start(self) -> None:
        """Connect in the background and keep connected."""
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

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the first connection.

        Returns:
            False when `timeout` seconds passed without one.

        Raises:
            BrokerError: The broker refuses us for good.
        """
        self._settled.wait(timeout)
        if self.refusal:
            raise BrokerError(f"broker {self._broker.host}:{self._broker.port} refuses us: {self.refusal}")
        return self.connected

    def publish(self, topic: str, payload: bytes) -> int | None:
        """Hand one message over at QoS 1.

        Returns:
            The message id that `on_sent` will name, or None when it was not taken (no link, queue full).
        """
        if not self.connected:
            return None
        info = self._client.publish(topic, payload, qos=1)
        # Without a link paho keeps the message all the same, and sends it after the next connect.
        return info.mid if info.rc in {paho.MQTT_ERR_SUCCESS, paho.MQTT_ERR_NO_CONN} else None

    def tell(self, topic: str, state: bytes) -> bool:
        """Hand over a state, which replaces the last one on its topic.

        Retained, and at QoS 0: so neither paho nor a broker queues states that are no longer true. What is lost with
        a connection is told again by the caller, on the next one (see `epoch`).

        Returns:
            False when it was not taken, for there is no link.
        """
        return self.connected and self._client.publish(topic, state, qos=0, retain=True).rc == paho.MQTT_ERR_SUCCESS

    def takes(self, topic: str, payload: bytes) -> bool:
        """Whether the broker takes a message of this size; a larger one costs the connection, again and again."""
        return self.largest is None or len(topic.encode()) + len(payload) + PACKET_BYTES <= self.largest

    def acknowledge(self, message: Message, epoch: int) -> None:
        """Tell the broker that a message is done; a message of an older connection comes again instead."""
        # Between two connections paho would send it first thing on the new one, where its number is another message's.
        with self._turn:
            if epoch == self.epoch and self.connected:
                self._client.ack(message.mid, message.qos)

    def stop(self) -> None:
        """Disconnect cleanly; the session stays at the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def _connect_answered(
        self, _client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        where = f"{self._broker.host}:{self._broker.port}"
        if reason.is_failure:
            log.warning("broker %s refuses us: %s", where, reason)
            if reason.value in _FINAL:
                self.refusal = str(reason)
                self._settled.set()
                if self._on_state:
                    self._on_state(False)
            return
        with self._turn:
            self.refusal = None
            self.largest = getattr(properties, "MaximumPacketSize", None)
            self.epoch += 1
            self._connected.set()
        self._subscription.begin()
        self._settled.set()
        log.info("connected to broker %s", where)
        if self._on_state:
            self._on_state(True)

    def _disconnected(
        self, _client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if self._connected.is_set():
            level = logging.WARNING if reason.is_failure else logging.DEBUG  # not a failure: we have stopped
            log.log(level, "lost broker %s:%d: %s", self._broker.host, self._broker.port, reason)
            with self._turn:
                self._connected.clear()
            self._subscription.end()
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
        except Exception:  # an exception here would end paho's thread without a word
            log.exception("message on %s could not be handled; the broker will send it again", message.topic)

    def _published(self, _client: paho.Client, _userdata: Any, mid: int, reason: ReasonCode, _properties: Any) -> None:
        if self._on_sent:
            self._on_sent(mid, reason)


AGAIN_SECONDS = 10.0
"""Until a subscription that was refused, or has no answer, is asked for again."""


class Subscription:
    """Topic filters of one connection. Safe to use from several threads.

    A broker may refuse them, or never answer, on a connection that stands: then nothing comes, and nothing else tells.

    Attributes:
        granted: Whether the broker has granted all of them on the present connection.
    """

    def __init__(self, topics: list[str], where: str, ask: Callable[[list[str]], None]) -> None:
        """Get ready; `begin` asks.

        Args:
            topics: Topic filters.
            where: The broker in words.
            ask: Sends one SUBSCRIBE for these topics; must not wait for an answer.
        """
        self.granted = False
        self._topics = topics
        self._where = where
        self._ask = ask
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._refused = ""
        self._told = ""

    @property
    def problem(self) -> str:
        """Why nothing can come on a connection that stands; empty when the broker has granted everything."""
        if self.granted:
            return ""
        return self._refused or f"broker {self._where} has not answered the subscription to {', '.join(self._topics)}"

    def begin(self) -> None:
        """Ask, on a new connection."""
        with self._lock:
            self._refused = ""
            if self._topics:
                self._send()
            else:
                self.granted = True

    def answered(self, reasons: Iterable[ReasonCode]) -> None:
        """Take the broker's answer: one reason for each topic."""
        refusals = [
            f"{topic} ({reason})" for topic, reason in zip(self._topics, reasons, strict=False) if reason.is_failure
        ]
        with self._lock:
            if refusals:
                self._refused = f"broker {self._where} refuses the subscription to {', '.join(refusals)}; check its ACL"
                self._tell()
                return
            self._drop_timer()
            self.granted = True
            if self._told:
                log.info("broker %s grants the subscription now", self._where)
            self._told = ""

    def end(self) -> None:
        """Ask no more: the connection is gone."""
        with self._lock:
            self.granted = False
            self._drop_timer()

    def _send(self) -> None:
        self._drop_timer()
        self._timer = timer = threading.Timer(AGAIN_SECONDS, lambda: self._again(timer))
        timer.daemon = True
        timer.start()
        self._ask(self._topics)

    def _again(self, timer: threading.Timer) -> None:
        with self._lock:
            if timer is self._timer:
                self._tell()
                self._send()

    def _drop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _tell(self) -> None:
        if self.problem != self._told:
            self._told = self.problem
            log.error("%s; asking again", self._told)
