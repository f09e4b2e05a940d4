"""Record in the bucket the highest number of each outbox, as the status of its cameras reports it.

A status comes from an edge, which may be hostile: its size, types, numbers and count are limited. The broker's ACL
binds the edge in the topic to a certificate, so an edge can spoil its own marks alone.
"""

import json
import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from face_app.cloud.bucket import operations
from face_app.cloud.bucket.mark_object import (
    MARKS,
    Mark,
    dump_marks,
    load_marks,
    mark_key,
    merge_marks,
    outbox_of_mark,
    parse_mark,
)
from face_app.cloud.stores.store import Store
from face_app.common.errors import StoreError
from face_app.common.mqtt import Connection, Connections, Inbox, Message, client_id
from face_app.common.settings import Broker, CloudSettings
from face_app.common.wire import STATUS_BYTES, STATUS_TOPIC

log = logging.getLogger(__name__)

STATUS = "status/+/+"
WRITE_SECONDS = 10.0
"""Minimum seconds between two writes of one mark. Faces of this time before a disk goes back may be in no record."""
MAX_WRITES = 100
"""Maximum number of marks in `WRITE_SECONDS`. A thousand edges would otherwise need a mark for nearly every face, which
is two requests. With N edges that all send faces, a mark is written every N / 10 seconds."""
STOP_SECONDS = 2.0
"""Maximum seconds that a stop waits for the last writes."""
MAX_OUTBOXES = 64
"""Maximum number of outboxes per edge, in the bucket too; an edge gets a new one only after a fault."""
MAX_UNWRITTEN = 16
"""Maximum number of openings of one outbox between two writes."""
WRITES_PER_EDGE = 4
"""Maximum number of marks of one edge in `WRITE_SECONDS`: an edge must not cause costs."""

_INVALID = (ValueError, KeyError, TypeError, RecursionError)


@dataclass
class _Outbox:
    """Contains what is known about one outbox since the start.

    Attributes:
        unwritten: Marks that the object may lack, by token.
        written: The latest mark that the object has.
    """

    unwritten: dict[str, Mark] = field(default_factory=dict)
    written: Mark | None = None

    def add(self, mark: Mark) -> None:
        if self.written and self.written.token == mark.token and mark.last <= self.written.last:
            return
        if mark.token in self.unwritten or len(self.unwritten) < MAX_UNWRITTEN:
            self.unwritten = merge_marks(self.unwritten.values(), [mark])


class MarkRecorder:
    """Receives the status of all cameras on connections of its own, so that none delays a face.

    An edge publishes to one of the brokers. Marks of several are merged: the highest number of an opening wins.
    """

    def __init__(self, settings: CloudSettings, store: Store) -> None:
        """Prepare the connections; `start` opens them.

        Args:
            settings: Settings of the subscriber.
            store: Store of the faces; while it does not work, nothing is written.

        Raises:
            SettingsError: A file of the broker identity or the credentials file cannot be read.
        """
        self._subscriber = settings.subscriber
        self._store = store
        self._edges: dict[str, dict[str, _Outbox]] = {}
        self._present: dict[str, set[str]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._problem = ""
        self._list = operations.lister(settings.store)
        self._read = operations.reader(settings.store)
        self._write = operations.writer(settings.store)
        self._inbox: Inbox[Message] = Inbox()
        self._reader = threading.Thread(target=self._read_inbox, name="marks-reader", daemon=True)
        self._thread = threading.Thread(target=self._run, name="marks", daemon=True)
        self._connections = Connections([self._connect(broker) for broker in settings.every_broker])

    def _connect(self, broker: Broker) -> Connection:
        def received(message: Message, epoch: int) -> None:
            self._received(message, broker)
            connection.acknowledge(message, epoch)

        name = client_id("marks", self._subscriber, broker)
        connection = Connection(broker, name, subscriptions=[STATUS], on_message=received, quiet=True)
        return connection

    def start(self) -> None:
        """Start the connections and the writes."""
        self._reader.start()
        self._thread.start()
        self._connections.start()

    def stop(self) -> None:
        """Write the last marks, for a moment at most."""
        self._connections.stop()
        self._inbox.close()
        self._reader.join(STOP_SECONDS)
        self._stop.set()
        self._thread.join(STOP_SECONDS)

    def _received(self, message: Message, broker: Broker) -> None:
        """Leave a status to the reader, which serves edges in turn; it needs the newest of each camera and broker."""
        match = STATUS_TOPIC.fullmatch(message.topic)
        if match and len(message.payload) <= STATUS_BYTES:
            self._inbox.put(match[1], (match[2], broker), message, len(message.payload))

    def _read_inbox(self) -> None:
        while message := self._inbox.get():
            self._add_safely(message)

    def _add_safely(self, message: Message) -> None:
        try:
            self.add(message.topic, message.payload)
        except Exception:  # such as a shortage of memory; the next status must be read
            log.exception("status on %s could not be read", message.topic)

    def add(self, topic: str, payload: bytes | bytearray) -> None:
        """Add a status; one without a valid mark changes nothing."""
        match = STATUS_TOPIC.fullmatch(topic)
        if not match or len(payload) > STATUS_BYTES:
            return
        try:
            outbox, mark = _mark(payload)
        except _INVALID as error:
            log.debug("no mark in the status on %s: %r", topic, error)
            return
        if mark.last < mark.first:
            return  # the opening has given no number
        with self._lock:
            outboxes = self._edges.setdefault(match[1], {})
            if outbox in outboxes or len(outboxes) < MAX_OUTBOXES:
                outboxes.setdefault(outbox, _Outbox()).add(mark)

    def _run(self) -> None:
        while not self._stop.wait(WRITE_SECONDS):
            self.flush()
        self.flush()

    def flush(self) -> None:
        """Write the marks that have changed; after a failure, the next call writes them."""
        due = self._due()
        problem = _failure(self._store.check) if due else ""
        if not problem:
            failures = [_failure(self._write_mark, *mark) for mark in due]
            problem = next(filter(None, failures), "")
        if problem and problem != self._problem:
            log.warning("a mark is not written: %s", problem)
        self._problem = problem

    def _due(self) -> list[tuple[str, str, dict[str, Mark]]]:
        """Return edge, outbox and unwritten marks: the first of each edge, then the second of each, and so on.

        The edges take turns, and so do the outboxes of one edge.
        """
        with self._lock:
            turns = [
                (turn, edge, outbox)
                for edge, outboxes in self._edges.items()
                for turn, outbox in enumerate(_unwritten(outboxes)[:WRITES_PER_EDGE])
            ]
            turns.sort(key=lambda each: each[0])
            return [(edge, outbox, self._take_turn(edge, outbox)) for _, edge, outbox in turns[:MAX_WRITES]]

    def _take_turn(self, edge: str, outbox: str) -> dict[str, Mark]:
        """Move an edge and its outbox to the end of their queues; return the unwritten marks."""
        outboxes = self._edges[edge] = self._edges.pop(edge)
        known = outboxes[outbox] = outboxes.pop(outbox)
        return dict(known.unwritten)

    def _write_mark(self, edge: str, outbox: str, unwritten: dict[str, Mark]) -> None:
        """Merge marks into the object.

        It is read each time: an earlier run, or a subscriber of this name elsewhere, may have written it.

        Raises:
            StoreError: The object cannot be read or written, or the bucket has enough marks of this edge.
        """
        key = mark_key(edge, outbox, self._subscriber)
        present = self._read(key)
        if present is None and not self._has_room(edge, outbox):
            raise StoreError(f"edge {edge} has marks of {MAX_OUTBOXES} outboxes; delete old ones under {MARKS}{edge}/")
        before = load_marks(present, key) if present is not None else []
        self._write(key, dump_marks(merge_marks(before, unwritten.values()), datetime.now(timezone.utc)))
        with self._lock:
            known = self._edges[edge][outbox]
            known.unwritten = {token: mark for token, mark in known.unwritten.items() if unwritten.get(token) != mark}
            known.written = max(unwritten.values())

    def _has_room(self, edge: str, outbox: str) -> bool:
        """Return True if the bucket may have a mark of one more outbox."""
        if edge not in self._present:
            names = map(outbox_of_mark, self._list(f"{MARKS}{edge}/"))
            self._present[edge] = {name[1] for name in names if name}
        present = self._present[edge]
        if len(present) < MAX_OUTBOXES:
            present.add(outbox)
        return outbox in present


def _unwritten(outboxes: Mapping[str, _Outbox]) -> list[str]:
    return [outbox for outbox, known in outboxes.items() if known.unwritten]


def _failure(act: Callable[..., None], *arguments: Any) -> str:
    """Return why an act failed; empty if it succeeded."""
    try:
        act(*arguments)
    except StoreError as error:
        return str(error)
    return ""


def _mark(payload: bytes | bytearray) -> tuple[str, Mark]:
    """Parse outbox and mark in a status.

    Raises:
        ValueError, KeyError, TypeError, RecursionError: The status has none, or an invalid one.
    """
    outbox = json.loads(payload)["outbox"]
    if not re.fullmatch("[0-9a-f]{8}", outbox["id"]):
        raise ValueError(f"outbox {outbox['id']!r:.20}")
    return outbox["id"], parse_mark(outbox["opening"], outbox["first"], outbox["sequence"])
