"""Visits that are over."""

from datetime import datetime, timedelta, timezone

from face_app.edge.outbox.records import Visit

NOW = datetime.now(timezone.utc)


def visit(track: int = 1, camera: str = "door", *, shots: int = 1, ago: float = 0) -> Visit:
    """A visit of ten seconds that ended so many seconds before this program began."""
    last = NOW - timedelta(seconds=ago)
    return Visit(camera, track, last - timedelta(seconds=10), last, looks=40, shots=shots, best=0.5)
