"""Receive receipts and states from the broker, so that new faces and changes appear at once."""

import itertools
import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from face_app.cloud.gallery.edge_states import EdgeStates
from face_app.cloud.gallery.face_key import FaceKey, parse_key
from face_app.common.errors import MessageError
from face_app.common.mqtt import Connection, Inbox, Message, client_id
from face_app.common.settings import GallerySettings
from face_app.common.wire import RECEIPTS_BYTES, STATUS_BYTES, STATUS_TOPIC, load_receipts

log = logging.getLogger(__name__)

RECEIPTS = "receipts/#"
STATES = "status/#"


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
        """Prepare the connection; `start` opens it.

        Args:
            settings: Settings of the gallery.
            states: Collects the states.
            on_faces: Called with stored faces and the times of their receipts in milliseconds.
            on_change: Called after a state or the connection has changed.
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
        self._inbox: Inbox[tuple[Message, int]] = Inbox()
        self._numbers = itertools.count()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._connection = Connection(
            settings.broker,
            client_id("gallery", settings.name, settings.broker),
            subscriptions=[RECEIPTS, STATES],
            on_message=self._received,
            on_state=self._state_changed,
            max_received_bytes=RECEIPTS_BYTES,
        )

    @property
    def problem(self) -> str:
        """Return why no news can arrive; empty while they do."""
        return self._connection.problem

    def start(self) -> None:
        """Connect in threads; they reconnect after each loss."""
        self._thread.start()
        self._connection.start()

    def stop(self) -> None:
        """Disconnect."""
        self._connection.stop()
        self._inbox.close()
        self._thread.join(5)

    def _state_changed(self, connected: bool) -> None:
        if connected:
            self._on_gap()
        self._on_change()

    def _received(self, message: Message, epoch: int) -> None:
        """Put a message into the inbox. A state is acknowledged at once, a receipt after the faces are in the index."""
        size = len(message.payload)
        if match := STATUS_TOPIC.fullmatch(message.topic):
            if size <= STATUS_BYTES:
                self._inbox.put(f"states of {match[1]}", match[2], (message, epoch), size)
        elif message.topic.startswith("receipts/"):
            if self._inbox.put(message.topic, next(self._numbers), (message, epoch), size):
                return
            self.dropped += 1
        self._connection.acknowledge(message, epoch)

    def _run(self) -> None:
        while item := self._inbox.get():
            message, epoch = item
            try:
                self._handle(message)
            except Exception:  # the next message must be read
                log.exception("message on %s could not be handled", message.topic)
            # A message that cannot be handled is not wanted again: the listing finds its face.
            if not message.topic.startswith("status/"):
                self._connection.acknowledge(message, epoch)
            self._list_dropped()

    def _list_dropped(self) -> None:
        """Have the faces of dropped receipts listed, once the flood is over."""
        dropped = self.dropped
        if dropped != self._listed and not self._inbox.bytes:
            log.warning("%d messages of receipts were dropped; listing the last days", dropped - self._listed)
            self._listed = dropped
            self._on_gap()

    def _handle(self, message: Message) -> None:
        if message.topic.startswith("status/"):
            if self._states.received(message.topic, bytes(message.payload), retained=message.retain):
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
