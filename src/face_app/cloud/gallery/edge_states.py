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
MOST_CAMERAS = 64
"""Maximum number of cameras of one edge. A hostile edge invents them; it must not hide those of others."""
MOST_EDGES = 2_000
"""Maximum number of edges. A certificate fixes the name of its edge, so only a broker without certificates lets a
client invent names."""
MOST_VALUES = 500
"""Maximum number of values in a state; one has less than 100. Each needs up to 100 bytes of memory."""


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
        self._edges: dict[str, dict[str, _Known]] = {}
        self._with_too_many: set[str] = set()
        self._lock = threading.Lock()

    @property
    def with_too_many(self) -> list[str]:
        """Return the edges that have reported more cameras at a time than are shown."""
        with self._lock:
            return sorted(self._with_too_many)

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
        with self._lock:
            cameras = self._edges.get(match[1], {})
            known = cameras.get(match[2])
            if not (state.follows(known) if known else self._makes_room(match[1], cameras)):
                return False
            cameras[match[2]] = state
            self._edges[match[1]] = cameras
        return True

    def _makes_room(self, edge: str, cameras: dict[str, _Known]) -> bool:
        """Make room for a new camera: it replaces the one that has been silent for the longest time."""
        if edge not in self._edges and len(self._edges) >= MOST_EDGES:
            return False
        if len(cameras) < MOST_CAMERAS:
            return True
        oldest = min(cameras, key=lambda camera: cameras[camera].arrived)
        if time.monotonic() - cameras[oldest].arrived <= SILENT_SECONDS:
            self._with_too_many.add(edge)
            return False
        del cameras[oldest]
        return True

    def states(self) -> list[CameraState]:
        """Return the state of each camera, by edge and camera."""
        with self._lock:
            known = {
                (edge, camera): state for edge, cameras in self._edges.items() for camera, state in cameras.items()
            }
        return [_camera_state(*place, known[place]) for place in sorted(known)]


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
    values = sum(map(payload.count, (b",", b"[", b"{")))
    if len(payload) > STATUS_BYTES or values > MOST_VALUES:
        return None
    try:
        document = json.loads(payload, parse_constant=_refuse)
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode()  # as every answer needs it
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _last_number(document: Mapping[str, Any]) -> tuple[str, str, int] | None:
    """Return outbox, opening and last number of a state; None if it has none."""
    outbox = document.get("outbox")
    if not isinstance(outbox, dict) or type(outbox.get("sequence")) is not int:
        return None
    return str(outbox.get("id")), str(outbox.get("opening")), outbox["sequence"]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _time(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
        return at.astimezone(timezone.utc) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None
