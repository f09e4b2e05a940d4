"""Receive receipts and states from the brokers, so that new faces and changes appear at once."""

import itertools
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from face_app.cloud.gallery.edge_states import EdgeStates
from face_app.cloud.gallery.face_key import FaceKey, parse_key
from face_app.common.errors import MessageError
from face_app.common.mqtt import Connection, Connections, Inbox, Message, client_id
from face_app.common.settings import Broker, GallerySettings
from face_app.common.wire import RECEIPTS_BYTES, STATUS_BYTES, STATUS_TOPIC, load_receipts

log = logging.getLogger(__name__)

RECEIPTS = "receipts/#"
STATES = "status/#"


@dataclass(frozen=True)
class _Arrival:
    """Pairs a message with the connection and the epoch in which it arrived, and the name of its broker."""

    message: Message
    connection: Connection
    epoch: int
    broker: str

    def acknowledge(self) -> None:
        """Acknowledge the message at the broker that delivered it."""
        self.connection.acknowledge(self.message, self.epoch)


class Feed:
    """Subscribes to receipts and states with a certificate that may do nothing else.

    One thread reads the messages. Meanwhile they wait in an `Inbox`: the receipts of an edge in one lane, the newest
    states of its cameras in another. Receipts for which it has no room are dropped, and a listing of the last days
    finds their faces.

    Attributes:
        dropped: Number of messages of receipts that were dropped.
    """

    def __init__(  # noqa: PLR0913
        self,
        settings: GallerySettings,
        states: EdgeStates,
        *,
        on_faces: Callable[[Mapping[FaceKey, int]], None],
        on_change: Callable[[], None],
        on_gap: Callable[[], None],
        on_erased: Callable[[Sequence[FaceKey]], None],
    ) -> None:
        """Prepare the connections; `start` opens them.

        Args:
            settings: Settings of the gallery.
            states: Collects the states.
            on_faces: Called with stored faces and the times of their receipts in milliseconds.
            on_change: Called after a state or a connection has changed.
            on_gap: Called after messages may have been lost: after each connect, and after some were dropped.
            on_erased: Called with faces that a tombstone covers.

        Raises:
            SettingsError: A file of the broker identity cannot be read.
        """
        self._states = states
        self._on_faces = on_faces
        self._on_change = on_change
        self._on_erased = on_erased
        self._on_gap = on_gap
        self.dropped = 0
        self._listed = 0
        self._inbox: Inbox[_Arrival] = Inbox()
        self._numbers = itertools.count()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._connections = Connections([self._connect(settings.name, broker) for broker in settings.every_broker])

    def _connect(self, name: str, broker: Broker) -> Connection:
        where = f"{broker.host}:{broker.port}"
        connection = Connection(
            broker,
            client_id("gallery", name, broker),
            subscriptions=[RECEIPTS, STATES],
            on_message=lambda message, epoch: self._received(_Arrival(message, connection, epoch, where)),
            on_state=self._state_changed,
            max_received_bytes=RECEIPTS_BYTES,
        )
        return connection

    @property
    def problem(self) -> str:
        """Return why no news can arrive; empty while at least one broker delivers them."""
        return self._connections.problem

    @property
    def gap(self) -> str:
        """Return why news of some edges may not arrive; empty while all brokers deliver them."""
        return "; ".join(self._connections.problems)

    def start(self) -> None:
        """Connect in threads; they reconnect after each loss."""
        self._thread.start()
        self._connections.start()

    def stop(self) -> None:
        """Disconnect."""
        self._connections.stop()
        self._inbox.close()
        if self._thread.is_alive():
            self._thread.join(5)

    def _state_changed(self, connected: bool) -> None:
        if connected:
            self._on_gap()
        self._on_change()

    def _received(self, arrival: _Arrival) -> None:
        """Put a message into the inbox. A state is acknowledged at once, a receipt after the faces are in the index."""
        topic, size = arrival.message.topic, len(arrival.message.payload)
        if match := STATUS_TOPIC.fullmatch(topic):
            if size <= STATUS_BYTES:
                # The newest of each broker: which of them is the newest of all is in the document.
                self._inbox.put(f"states of {match[1]}", (match[2], arrival.broker), arrival, size)
        elif topic.startswith("receipts/"):
            if self._inbox.put(topic, next(self._numbers), arrival, size):
                return
            self.dropped += 1
        arrival.acknowledge()

    def _run(self) -> None:
        while arrival := self._inbox.get():
            try:
                self._handle(arrival.message, arrival.broker)
            except Exception:  # the next message must be read
                log.exception("message on %s could not be handled", arrival.message.topic)
            # A message that cannot be handled is not wanted again: the listing finds its face.
            if not arrival.message.topic.startswith("status/"):
                arrival.acknowledge()
            self._list_dropped()

    def _list_dropped(self) -> None:
        """Have the faces of dropped receipts listed, once the flood is over."""
        dropped = self.dropped
        if dropped != self._listed and not self._inbox.bytes:
            log.warning("%d messages of receipts were dropped; listing the last days", dropped - self._listed)
            self._listed = dropped
            self._on_gap()

    def _handle(self, message: Message, broker: str) -> None:
        if message.topic.startswith("status/"):
            payload = bytes(message.payload)
            if self._states.received(message.topic, payload, retained=message.retain, broker=broker):
                self._on_change()
            return
        try:
            receipts = load_receipts(bytes(message.payload))
        except MessageError as error:
            log.warning("receipt on %s: %s", message.topic, error)
            return
        stored = {
            key: int(receipt.at.timestamp() * 1000)
            for receipt in receipts
            if receipt.result == "stored" and (key := parse_key(receipt.key))
        }
        if stored:
            self._on_faces(stored)
        erased = [key for each in receipts if each.result == "erased" and (key := parse_key(each.key))]
        if erased:
            self._on_erased(erased)
