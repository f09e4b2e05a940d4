"""Publish the status of a camera as a retained state; a last will sets it to `offline` if the program dies.

A last will belongs to a connection, so each capture process has a second connection beside the sender's.
"""

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, Literal

from face_app import __version__
from face_app.common.errors import FaceAppError, OutboxError
from face_app.common.health_server import Health, determine
from face_app.common.mqtt import Connection, Message, client_id
from face_app.common.settings import EdgeSettings
from face_app.common.wire import status_topic
from face_app.edge.health.certificate import Certificate
from face_app.edge.health.home_assistant import announcement, birth_topic
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.process_lock import ProcessLock
from face_app.edge.outbox.records import Mark

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""Seconds between two polls for changes, and minimum seconds between two published states."""
HEALTH_SECONDS = 5.0
"""Seconds between two health checks. Each counts the waiting faces: 50 ms for the 600,000 faces of a week's outage."""
RENEW_SECONDS = 60.0
"""Seconds between two published states without a change; a reader treats a much older state as unknown."""
RETRY_SECONDS = 2.0
"""Seconds between two attempts to become the publisher of this camera."""
END_SECONDS = 2.0
"""Maximum seconds to publish the last state: a broker that does not answer must not delay the end of the program."""

LOST = "the program is gone without a word: it was killed, or its box is off or cut off"


class Counts:
    """Counts frames and faces since the program started. One thread counts, another thread reads.

    Attributes:
        frames: Number of processed frames.
        faces: Number of faces committed to the outbox.
        last_face: Capture time of the last committed face (aware); None if there is none.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.faces = 0
        self.last_face: datetime | None = None

    def frame(self, captured_at: datetime, *, faces: int) -> None:
        """Count a frame, and the faces that were committed from it."""
        self.frames += 1
        if faces:
            self.faces += faces
            self.last_face = captured_at


def publish_status(
    settings: EdgeSettings, outbox: Outbox, health: Callable[[], Health]
) -> AbstractContextManager[Counts]:
    """Publish the status of the camera while the context lasts, unless the settings disable it.

    Args:
        settings: Settings of the edge.
        outbox: Outbox of the program.
        health: Determines the health of the program.

    Returns:
        A context with the counters that the status reports.

    Raises:
        SettingsError: A file of the broker identity cannot be read.
        OutboxError: The lock file cannot be created.
    """
    return StatusPublisher(settings, outbox, health) if settings.status.publish else nullcontext(Counts())


class StatusPublisher:
    """Publishes the newest state of one camera in its own thread, so that no other stage waits for the broker."""

    def __init__(self, settings: EdgeSettings, outbox: Outbox, health: Callable[[], Health]) -> None:
        """Prepare the connection; entering the context starts the thread."""
        camera = settings.camera.name
        home_assistant = settings.status.home_assistant
        self._outbox = outbox
        self._check_health = health
        self._counts = Counts()
        self._since = _now()
        self._topic = status_topic(settings.edge, camera)
        self._certificate = Certificate(settings.status.certificate_file or settings.broker.cert_file)
        self._announcement = announcement(settings) if home_assistant else None
        self._births = 0
        self._announced: object = None
        self._published: object = None
        self._published_at = 0.0
        self._health = Health.failed("")
        self._next_check = 0.0
        self._end = "stopped"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)
        # Two processes with one client id would disconnect each other, and their last wills would be false.
        self._election = ProcessLock(outbox.path, f"status-{camera}")
        self._connection = Connection(
            settings.broker,
            client_id("status", f"{outbox.id}-{camera}", settings.broker),
            subscriptions=[birth_topic(settings.status)] if home_assistant else [],
            on_message=self._received,
            will=(self._topic, _document("offline", LOST, {})),
            quiet=True,  # the sender logs the failures of the same broker
        )

    def __enter__(self) -> Counts:
        self._thread.start()
        return self._counts

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Publish that the camera is offline, with the reason."""
        if kind:
            self._end = str(error) if isinstance(error, FaceAppError) else kind.__name__
        self._stop.set()
        self._thread.join(END_SECONDS)

    def _run(self) -> None:
        try:
            while not self._election.acquire():
                if self._stop.wait(RETRY_SECONDS):
                    return  # another process publishes the status of this camera
            self._connection.start()
            while not self._stop.wait(POLL_SECONDS):
                self._poll()
            self._connection.publish_retained(self._topic, self._state("offline", self._end, {}, self._mark()))
            self._connection.stop()
        except OutboxError as error:
            log.error("the status of the camera is not published: %s", error)  # noqa: TRY400 - the message names the cause
        finally:
            self._election.release()

    def _poll(self) -> None:
        """Publish the state, and the announcement to Home Assistant, if they changed or the reader may lack them."""
        connection = self._connection
        if not connection.connected:
            self._next_check = 0.0  # the next connection publishes fresh health
            return
        # The announcement is repeated on a new connection, and after each start of Home Assistant.
        audience = (connection.epoch, self._births)
        if self._announcement and audience != self._announced and connection.publish_retained(*self._announcement):
            self._announced = audience
        if time.monotonic() >= self._next_check:
            self._health = determine(self._check_health)
            self._next_check = time.monotonic() + HEALTH_SECONDS
        health, mark = self._health, self._mark()
        # A reason that differs only in its numbers is no change.
        change = (connection.epoch, re.sub(r"[\d.]+", "", health.reason), self._counts.last_face, mark)
        if change == self._published and time.monotonic() - self._published_at < RENEW_SECONDS:
            return  # the retained state is still correct and recent
        if connection.publish_retained(self._topic, self._state("online", health.reason, health.facts, mark)):
            self._published = change
            self._published_at = time.monotonic()

    def _mark(self) -> Mark | None:
        """Return how far the outbox has numbered its faces; None while it cannot be read, which health reports."""
        try:
            return self._outbox.mark()
        except OutboxError:
            return None

    def _state(
        self, state: Literal["online", "offline"], problem: str, facts: Mapping[str, Any], mark: Mark | None
    ) -> bytes:
        current = self._counts
        last_face = current.last_face
        counts = {
            "at": _now(),
            "since": self._since,
            "frames": current.frames,
            "faces": current.faces,
            "last_face": last_face and last_face.astimezone(timezone.utc).isoformat(timespec="milliseconds"),
            "certificate_days": self._certificate.days_left(),
            # The cloud records the highest number: an outbox that goes back in time would give numbers again.
            **({"outbox": asdict(mark)} if mark else {}),
        }
        return _document(state, problem, {**counts, **facts})

    def _received(self, message: Message, epoch: int) -> None:
        if message.payload == b"online":
            self._births += 1
        self._connection.acknowledge(message, epoch)


def _document(state: Literal["online", "offline"], problem: str, more: Mapping[str, Any]) -> bytes:
    """Return a state as JSON; its facts have the names that `face-app health --json` prints."""
    document = {"state": state, "problem": problem, "version": __version__, **more}
    return json.dumps(document, separators=(",", ":")).encode()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
