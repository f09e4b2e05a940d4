"""What a run of capture did."""

import math
from dataclasses import dataclass

from face_app.edge.outbox.outbox import Outbox


@dataclass(frozen=True)
class Latency:
    """Milliseconds from the frame to its receipt, by this machine's clock; None where nothing was stored."""

    p50: float | None
    p99: float | None


@dataclass(frozen=True)
class StoredFace:
    """One face that is in the store, in plain JSON values."""

    id: str
    key: str
    sha256: str
    score: float


@dataclass(frozen=True)
class CaptureSummary:
    """What a run of capture did.

    Attributes:
        frames: Frames looked at.
        captured: Faces committed; the sum of stored, waiting, refused and expired.
        stored: Of them, those the cloud has.
        waiting: Of them, those that wait in the outbox.
        refused: Of them, those the cloud refused.
        expired: Of them, those given up because the outbox was full.
        latency_ms: Of the stored ones.
        seconds: How long the run took.
        faces: The stored ones, the oldest first.
    """

    frames: int
    captured: int
    stored: int
    waiting: int
    refused: int
    expired: int
    latency_ms: Latency
    seconds: float
    faces: list[StoredFace]


def summarise(outbox: Outbox, frames: int, seconds: float) -> CaptureSummary:
    """Sum up the faces that this outbox has added."""
    faces = outbox.faces()
    states = [face.state for face in faces]
    stored = [StoredFace(str(face.id), face.key, face.sha256, face.score) for face in faces if face.state == "stored"]
    latencies = sorted(
        (face.settled_at - face.captured_at) * 1000 for face in faces if face.state == "stored" and face.settled_at
    )
    return CaptureSummary(
        frames=frames,
        captured=len(faces),
        stored=len(stored),
        waiting=states.count("waiting"),
        refused=states.count("refused"),
        expired=states.count("expired"),
        latency_ms=Latency(_percentile(latencies, 50), _percentile(latencies, 99)),
        seconds=round(seconds, 3),
        faces=stored,
    )


def _percentile(ordered: list[float], percent: int) -> float | None:
    """The nearest rank: a value that was measured."""
    return round(ordered[math.ceil(len(ordered) * percent / 100) - 1], 1) if ordered else None
