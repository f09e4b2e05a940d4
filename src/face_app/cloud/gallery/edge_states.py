"""Contain the newest state of each camera, as the edges publish it."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from face_app.common.wire import STATUS_BYTES, STATUS_TOPIC

SILENT_SECONDS = 180.0
"""Age of a state that is unknown: a camera publishes every minute."""
CLOCK_SECONDS = 60.0
"""Difference between the clocks of edge and gallery that is shown."""
MOST = 2_000
"""Maximum number of cameras; each is at most `STATUS_BYTES` large."""


@dataclass(frozen=True)
class CameraState:
    """Describes the state of one camera.

    Attributes:
        edge: Name of the edge.
        camera: Name of the camera.
        document: What the edge published.
        at: Time of the state by the clock of the edge (aware); None if it has none.
        age: Seconds since the state arrived, or, if it had been retained, since its own time.
        clock_error: Seconds by which the clock of the edge is ahead; None if it is unknown.
    """

    edge: str
    camera: str
    document: Mapping[str, Any]
    at: datetime | None
    age: float
    clock_error: float | None

    @property
    def last_face(self) -> datetime | None:
        """Return the capture time of the last face since the program started (aware); None if there is none."""
        return _time(self.document.get("last_face"))

    @property
    def silent(self) -> bool:
        """Return True if the state is too old to be believed."""
        return self.age > SILENT_SECONDS

    @property
    def condition(self) -> str:
        """Return ``silent``, ``offline``, ``problem`` or ``ready``."""
        if self.silent:
            return "silent"
        if self.document.get("state") != "online":
            return "offline"
        return "problem" if self.document.get("problem") else "ready"


@dataclass(frozen=True)
class _Known:
    document: Mapping[str, Any]
    at: datetime | None
    arrived: float
    arrived_at: datetime
    retained: bool
    broker: str

    def follows(self, known: "_Known") -> bool:
        """Return True if this state is newer than a known one of the same camera."""
        if self.broker == known.broker and not self.retained:
            return True  # news of one broker are in order, whatever the edge's clock says
        if not self.retained and self.arrived - known.arrived > SILENT_SECONDS:
            return True  # a clock that was set back must not silence a camera
        own, other = _last_number(self.document), _last_number(known.document)
        if own and other and own != other and own[:2] == other[:2]:
            return own > other
        if known.at is None:
            return True
        if self.at is None:  # a will has no time; a retained one may be old
            return not self.retained
        return self.at >= known.at


class EdgeStates:
    """Collects states from the messages of all brokers. Thread-safe.

    An edge publishes to one of them, and the others retain what it published there before. The newest counts: the one
    with the highest number of one opening of the outbox, then with the latest time.
    """

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], _Known] = {}
        self._lock = threading.Lock()

    def received(self, topic: str, payload: bytes, *, retained: bool, broker: str = "") -> bool:
        """Take a message; return False if it is not a state, or older than the known one.

        Args:
            topic: Its topic.
            payload: Its bytes.
            retained: It was published before this subscription. Then its own time says how old it is.
            broker: Name of the broker that delivered it.
        """
        match = STATUS_TOPIC.fullmatch(topic)
        document = _document(payload) if match else None
        if not match or document is None:
            return False
        at, now = _time(document.get("at")), datetime.now(timezone.utc)
        state = _Known(document, at, time.monotonic(), now, retained, broker)
        place = (match[1], match[2])
        with self._lock:
            known = self._states.get(place)
            if not state.follows(known) if known else len(self._states) >= MOST:
                return False
            self._states[place] = state
        return True

    def states(self) -> list[CameraState]:
        """Return the state of each camera, by edge and camera."""
        with self._lock:
            known = sorted(self._states.items())
        return [_camera_state(edge, camera, state) for (edge, camera), state in known]


def _camera_state(edge: str, camera: str, state: _Known) -> CameraState:
    since_arrival = time.monotonic() - state.arrived
    ahead = None if state.at is None else (state.at - state.arrived_at).total_seconds()
    if not state.retained:
        # The will is written when the connection opens, and has no time.
        error = ahead if ahead is not None and abs(ahead) > CLOCK_SECONDS else None
        return CameraState(edge, camera, state.document, state.at, since_arrival, error)
    age = since_arrival if ahead is None else max(0.0, since_arrival - ahead)
    error = ahead if ahead is not None and ahead > CLOCK_SECONDS else None
    return CameraState(edge, camera, state.document, state.at, age, error)


def _document(payload: bytes) -> dict[str, Any] | None:
    if len(payload) > STATUS_BYTES:
        return None
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _last_number(document: Mapping[str, Any]) -> tuple[str, str, int] | None:
    """Return outbox, opening and last number of a state; None if it has none."""
    outbox = document.get("outbox")
    if not isinstance(outbox, dict) or type(outbox.get("sequence")) is not int:
        return None
    return str(outbox.get("id")), str(outbox.get("opening")), outbox["sequence"]


def _time(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
        return at.astimezone(timezone.utc) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None
