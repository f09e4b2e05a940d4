"""How a camera is: a retained state at the broker, `offline` by last will when the program is gone.

A last will belongs to a connection, so each capture process has one of its own for this, beside the sender's.
"""

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, Literal

from face_app.common.errors import FaceAppError, OutboxError
from face_app.common.health_server import Health
from face_app.common.mqtt import Connection, Message
from face_app.common.settings import EdgeSettings
from face_app.common.wire import status_topic
from face_app.edge.health.home_assistant import announcement, birth_topic
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.process_lock import ProcessLock

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks for news; so often, at most, is a state told."""
JUDGE_SECONDS = 5.0
"""Between two judgements of the program; each counts what waits, 50 ms for the 600,000 faces of a week's outage."""
RENEW_SECONDS = 60.0
"""Until a state is told again without news; one that is much older is no longer known to be true."""
STAND_SECONDS = 2.0
"""Between two attempts to become the one that tells of this camera."""
END_SECONDS = 2.0
"""For the last state; a broker that does not answer must not keep the program from ending."""

LOST = "the program is gone without a word: it was killed, or its box is off or cut off"


class Counts:
    """What a camera has seen since the program began. One thread counts, another one reads.

    Attributes:
        frames: Frames looked at.
        faces: Faces committed to the outbox.
        last_face: When the last of them was captured (aware), or None.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.faces = 0
        self.last_face: datetime | None = None

    def frame(self, captured_at: datetime, *, faces: int) -> None:
        """Count a frame, and the faces of it that are committed."""
        self.frames += 1
        if faces:
            self.faces += faces
            self.last_face = captured_at


def publish_status(
    settings: EdgeSettings, outbox: Outbox, readiness: Callable[[], Health]
) -> AbstractContextManager[Counts]:
    """Tell meanwhile how the camera is, unless the settings say otherwise; count into what is given.

    Args:
        settings: Of the edge.
        outbox: Where its faces wait.
        readiness: Judges the program.

    Raises:
        SettingsError: A file of the broker's identity cannot be read.
        OutboxError: The lock file cannot be made.
    """
    return StatusPublisher(settings, outbox, readiness) if settings.status.publish else nullcontext(Counts())


class StatusPublisher:
    """The thread that tells how one camera is; nothing waits for it, and it keeps none but the newest state."""

    def __init__(self, settings: EdgeSettings, outbox: Outbox, readiness: Callable[[], Health]) -> None:
        """Get ready; entering starts it."""
        camera = settings.camera.name
        home_assistant = settings.status.home_assistant
        self._readiness = readiness
        self._counts = Counts()
        self._since = _now()
        self._topic = status_topic(settings.edge, camera)
        self._announcement = announcement(settings) if home_assistant else None
        self._births = 0
        self._announced: object = None
        self._told: object = None
        self._told_at = 0.0
        self._judged = Health(True, {})
        self._judge_at = 0.0
        self._end = "stopped"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)
        # Two processes for one camera would throw each other off the broker, and their wills would tell lies.
        self._election = ProcessLock(outbox.path, f"status-{camera}")
        self._connection = Connection(
            settings.broker,
            f"status-{outbox.id}-{camera}",
            subscriptions=[birth_topic(settings.status)] if home_assistant else [],
            on_message=self._heard,
            will=(self._topic, _document("offline", LOST, {})),
        )

    def __enter__(self) -> Counts:
        self._thread.start()
        return self._counts

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell that the camera is no longer watched, and why."""
        if kind:
            self._end = str(error) if isinstance(error, FaceAppError) else kind.__name__
        self._stop.set()
        self._thread.join(END_SECONDS)

    def _run(self) -> None:
        try:
            while not self._election.won():
                if self._stop.wait(STAND_SECONDS):
                    return
            self._connection.start()
            while not self._stop.wait(LOOK_SECONDS):
                self._look()
            self._connection.publish_retained(self._topic, self._state("offline", self._end, {}))
            self._connection.stop()
        except OutboxError as error:
            log.error("the state of the camera is not told: %s", error)  # noqa: TRY400 - its line says it all
        finally:
            self._election.close()

    def _look(self) -> None:
        """Tell what is new: on this connection, since Home Assistant came up, in the state."""
        connection = self._connection
        if not connection.connected:
            self._judge_at = 0.0
            return
        hearers = (connection.epoch, self._births)
        if self._announcement and hearers != self._announced and connection.publish_retained(*self._announcement):
            self._announced = hearers
        if time.monotonic() >= self._judge_at:
            self._judged, self._judge_at = self._judge(), time.monotonic() + JUDGE_SECONDS
        told = self._judged
        # The same trouble with other figures in it is no news.
        news = (connection.epoch, re.sub(r"[\d.]+", "", told.problem), self._counts.last_face)
        if news == self._told and time.monotonic() - self._told_at < RENEW_SECONDS:
            return
        if connection.publish_retained(self._topic, self._state("online", told.problem, told.facts)):
            self._told, self._told_at = news, time.monotonic()

    def _judge(self) -> Health:
        try:
            return self._readiness()
        except Exception as error:  # noqa: BLE001 - a program that cannot be judged is not well, and says so
            return Health(False, {}, str(error) or type(error).__name__)

    def _state(self, state: Literal["online", "offline"], problem: str, facts: Mapping[str, Any]) -> bytes:
        seen = self._counts
        counts = {
            "at": _now(),
            "since": self._since,
            "frames": seen.frames,
            "faces": seen.faces,
            "last_face": seen.last_face and seen.last_face.astimezone(timezone.utc).isoformat(timespec="milliseconds"),
        }
        return _document(state, problem, {**counts, **facts})

    def _heard(self, message: Message, epoch: int) -> None:
        if message.payload == b"online":
            self._births += 1
        self._connection.acknowledge(message, epoch)


def _document(state: Literal["online", "offline"], problem: str, more: Mapping[str, Any]) -> bytes:
    """Write a state as JSON; the facts of `face-app health` keep their names in it."""
    return json.dumps({"state": state, "problem": problem, **more}, separators=(",", ":")).encode()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
