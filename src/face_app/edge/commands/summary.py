"""Summarise a run of `face-app capture`."""

import math
from dataclasses import dataclass

from face_app.edge.outbox.outbox import Outbox


@dataclass(frozen=True)
class Latency:
    """Contains percentiles of the milliseconds from frame to receipt by the local clock; None if no face is stored."""

    p50: float | None
    p99: float | None


@dataclass(frozen=True)
class StoredFace:
    """Describes one stored face as plain JSON values."""

    id: str
    key: str
    sha256: str
    score: float


@dataclass(frozen=True)
class CaptureSummary:
    """Summarises one run as plain JSON values.

    Attributes:
        frames: Number of processed frames.
        captured: Number of committed faces: stored + waiting + refused + expired + erased.
        stored: Number of faces with a receipt of result ``stored``.
        waiting: Number of faces that wait for a receipt.
        refused: Number of faces with a receipt of result ``refused``.
        expired: Number of waiting faces given up: evicted by the quota, or damaged.
        erased: Number of faces with a receipt of result ``erased``: a tombstone covers them.
        latency_ms: Latency of the stored faces.
        seconds: Duration of the run, seconds.
        faces: The stored faces, oldest first.
    """

    frames: int
    captured: int
    stored: int
    waiting: int
    refused: int
    expired: int
    erased: int
    latency_ms: Latency
    seconds: float
    faces: list[StoredFace]


def summarise(outbox: Outbox, frames: int, seconds: float) -> CaptureSummary:
    """Summarise the faces that this process has appended to the outbox."""
    faces = outbox.run_faces()
    states = [face.state for face in faces]
    stored = [
        StoredFace(id=str(face.id), key=face.key, sha256=face.sha256, score=face.score)
        for face in faces
        if face.state == "stored"
    ]
    latencies = sorted(
        (face.updated_at - face.captured_at) * 1000 for face in faces if face.state == "stored" and face.updated_at
    )
    return CaptureSummary(
        frames=frames,
        captured=len(faces),
        stored=len(stored),
        waiting=states.count("waiting"),
        refused=states.count("refused"),
        expired=states.count("expired"),
        erased=states.count("erased"),
        latency_ms=Latency(p50=_percentile(latencies, 50), p99=_percentile(latencies, 99)),
        seconds=round(seconds, 3),
        faces=stored,
    )


def _percentile(ordered: list[float], percent: int) -> float | None:
    """Return the nearest-rank percentile, which is always a measured value."""
    return round(ordered[math.ceil(len(ordered) * percent / 100) - 1], 1) if ordered else None
