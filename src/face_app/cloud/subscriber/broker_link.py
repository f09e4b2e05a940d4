"""Connect the subscriber to one of the brokers: its faces arrive here, and their receipts return here."""

from collections.abc import Callable
from typing import TypeAlias

from paho.mqtt.reasoncodes import ReasonCode

from face_app.cloud.subscriber.metrics import SubscriberMetrics
from face_app.cloud.subscriber.receipt_publisher import ReceiptPublisher
from face_app.cloud.subscriber.shares import BUDGET_BYTES, Shares
from face_app.common.mqtt import Connection, Message, client_id
from face_app.common.settings import Broker, CloudSettings
from face_app.common.wire import FACES

SESSION_SECONDS = 20
"""Seconds for which the broker retains the session of a lost connection: enough for a reconnect or a restart.

While a session lives, the broker queues its share of the faces, even if its program never returns. Afterwards the other
subscribers get all faces, and the outboxes send the queued ones again. Measured with one of two dead: all faces were
stored 35 s after the death; with 86400, some still waited after 200 s.

With several brokers there is no session: the subscribers of other hosts are connected to each broker and get all faces
at once. What was in flight is sent again by the outboxes."""
RECONNECT_SECONDS = 2
"""Maximum seconds between two attempts to connect: after a restart of the broker, all faces wait for it."""
SPARE_BYTES = 1_048_576
"""Bytes above `max_bytes` of the largest packet that the broker may deliver: an image somewhat too large still gets a
receipt that refuses it. The broker drops a larger one, so it never uses memory here."""

Receive: TypeAlias = Callable[["BrokerLink", Message, int], None]
Change: TypeAlias = Callable[["BrokerLink", bool], None]


class BrokerLink:
    """Receives faces from one broker in the shared subscription, and sends it their receipts.

    Attributes:
        name: Host and port of the broker.
        connection: Connection to the broker.
        receipts: Publisher of the receipts; it acknowledges the messages.
        shares: What each edge has in flight on this connection.
    """

    def __init__(
        self, settings: CloudSettings, broker: Broker, metrics: SubscriberMetrics, receive: Receive, change: Change
    ) -> None:
        """Prepare the connection; the caller starts `receipts` and `connection`.

        Args:
            settings: Settings of the subscriber.
            broker: Address and identity.
            metrics: Counters to update.
            receive: Called in the network thread with each message and its epoch.
            change: Called in the network thread after a connect (True) or a loss.

        Raises:
            SettingsError: A file of the broker identity cannot be read.
        """
        self.name = f"{broker.host}:{broker.port}"
        # Together the links use no more memory than one does alone.
        self.shares = Shares(settings.receive_maximum, budget=BUDGET_BYTES // len(settings.every_broker))
        self.connection = Connection(
            broker,
            client_id("subscriber", settings.subscriber, broker),
            subscriptions=[f"$share/{settings.group}/{FACES}"],
            on_message=lambda message, epoch: receive(self, message, epoch),
            on_sent=self._answered,
            on_state=lambda connected: change(self, connected),
            session_seconds=0 if settings.brokers else SESSION_SECONDS,
            receive_maximum=settings.receive_maximum,
            max_received_bytes=settings.max_bytes + SPARE_BYTES,
            reconnect_seconds=RECONNECT_SECONDS,
        )
        self.receipts = ReceiptPublisher(settings.subscriber, self.connection, metrics)

    def _answered(self, message_id: int, reason: ReasonCode) -> None:
        self.receipts.answered(message_id, reason)

    @property
    def problem(self) -> str:
        """Return why this broker's faces are not stored with a receipt; empty while they are."""
        return self.connection.problem or self.receipts.problem
