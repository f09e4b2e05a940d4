"""Contain the messages that wait for a service: a restart loses none, and repeats none that was being sent."""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from face_app.cloud.notifications import notification_metrics as metrics
from face_app.cloud.notifications.notification_file import NotificationFile, now_ms

MOST_WAITING = 1000
"""Maximum number of messages that wait for one service; the oldest are dropped."""
MOST_PAUSE_MS = 60_000
"""Maximum time between two attempts for one message, milliseconds."""

Kind = Literal["info", "warning", "success"]


@dataclass(frozen=True)
class Message:
    """Contains what every service gets.

    Attributes:
        title: One short line.
        body: Lines of text.
        kind: ``info``: faces, ``warning``: an alarm, ``success``: its end.
        picture: Key of the picture; empty: none.
    """

    title: str
    body: str
    kind: Kind = "info"
    picture: str = ""


@dataclass(frozen=True)
class Delivery:
    """Tracks the delivery of one message to one service.

    Attributes:
        id: Of the message.
        message: The message.
        made_ms: Time at which it was made, milliseconds since 1970.
        attempts: Number of attempts that failed.
    """

    id: int
    message: Message
    made_ms: int
    attempts: int


class Deliveries:
    """Reads and writes the waiting messages. Thread-safe."""

    def __init__(self, file: NotificationFile, services: Sequence[str]) -> None:
        """Forget messages that a program was sending when it ended, and those to services that are no longer set.

        Args:
            file: The open file.
            services: Names of the services.
        """
        self._file = file
        self._services = tuple(services)
        with file.transaction() as connection:
            interrupted = connection.execute("DELETE FROM deliveries WHERE sending = 1").rowcount
            marks = ",".join("?" * len(self._services))
            connection.execute(f"DELETE FROM deliveries WHERE service NOT IN ({marks})", self._services)  # noqa: S608
            _drop_messages(connection)
        self.interrupted = interrupted
        self._counts: dict[str, int] = {}
        metrics.deliveries.labels("interrupted").inc(interrupted)
        metrics.waiting.set_function(self.count)

    def add(self, connection: sqlite3.Connection, message: Message) -> None:
        """Add a message to each service, in a transaction of the caller."""
        now = now_ms()
        number = connection.execute(
            "INSERT INTO messages (made, kind, title, body, picture) VALUES (?, ?, ?, ?, ?)",
            (now, message.kind, message.title, message.body, message.picture),
        ).lastrowid
        for service in self._services:
            connection.execute(
                "INSERT INTO deliveries (message, service, due) VALUES (?, ?, ?)", (number, service, now)
            )
            dropped = connection.execute(
                "DELETE FROM deliveries WHERE service = ? AND sending = 0 AND message <="
                " (SELECT message FROM deliveries WHERE service = ? ORDER BY message DESC LIMIT 1 OFFSET ?)",
                (service, service, MOST_WAITING),
            ).rowcount
            metrics.deliveries.labels("dropped").inc(dropped)

    def take(self, service: str) -> Delivery | None:
        """Return the next message that is due for a service, recorded as being sent; None if there is none.

        The caller is the only one that sends to the service, and it sends nothing now. So a message that is recorded
        as being sent is due too: its commit failed after it had reached the disk, and no caller got it.
        """
        with self._file.transaction() as connection:
            row = connection.execute(
                "SELECT d.message, m.title, m.body, m.kind, m.picture, m.made, d.attempts FROM deliveries d"
                " JOIN messages m ON m.id = d.message WHERE d.service = ? AND d.due <= ?"
                " ORDER BY d.due, d.message LIMIT 1",
                (service, now_ms()),
            ).fetchone()
            if row is None:
                return None
            connection.execute("UPDATE deliveries SET sending = 1 WHERE service = ? AND message = ?", (service, row[0]))
        return Delivery(row[0], Message(*row[1:5]), row[5], row[6])

    def done(self, service: str, delivery: Delivery, result: metrics.Result) -> None:
        """Remove a message to one service, and count its result."""
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM deliveries WHERE service = ? AND message = ?", (service, delivery.id))
            _drop_messages(connection)
        metrics.deliveries.labels(result).inc()

    def retry_later(self, service: str, delivery: Delivery) -> None:
        """Send a message again later."""
        pause = min(1000 * 2 ** min(delivery.attempts, 10), MOST_PAUSE_MS)
        with self._file.transaction() as connection:
            connection.execute(
                "UPDATE deliveries SET sending = 0, attempts = attempts + 1, due = ? WHERE service = ? AND message = ?",
                (now_ms() + pause, service, delivery.id),
            )
        metrics.deliveries.labels("repeated").inc()

    def count(self, service: str = "") -> int:
        """Return the number of messages that wait, for one service or for all.

        While the file cannot be read, it is the last known one: no page and no metric fails with the file.
        """
        with suppress(sqlite3.Error), self._file.transaction() as connection:
            query = "SELECT count(*) FROM deliveries WHERE ? = '' OR service = ?"
            self._counts[service] = int(connection.execute(query, (service, service)).fetchone()[0])
        return self._counts.get(service, 0)

    def next_due_ms(self, service: str) -> int | None:
        """Return when the next message to a service is due, milliseconds since 1970; None if none waits."""
        with self._file.transaction() as connection:
            query = "SELECT min(due) FROM deliveries WHERE service = ?"
            found = connection.execute(query, (service,)).fetchone()[0]
        return None if found is None else int(found)


def _drop_messages(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM messages WHERE id NOT IN (SELECT message FROM deliveries)")
