"""Say what metadata and states mean, in words."""

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from face_app.cloud.audit.report_object import EdgeAudit, OutboxRow
from face_app.cloud.gallery.timeline import Shot

WHY = {
    "first": "the first good picture of the visit",
    "better": "a clearly better picture than the one before",
    "final": "the best picture of the visit, chosen at its end",
    "only": "the best picture of a visit without a good one",
    "again": "another picture of a long visit",
    "received": "another program took this picture, and published it",
    "verify": "a test card, sent to prove that the chain works",
}
TERMS = {
    "confidence": ("Confidence", "how sure the detector is"),
    "frontal": ("Frontal", "how directly the face looks at the camera"),
    "size": ("Size", "distance between the eyes"),
    "whole": ("Whole", "not cut off by the edge of the picture"),
    "clear": ("Clear", "not covered by another face"),
    "sharp": ("Sharp", "how much detail the picture has"),
    "light": ("Light", "neither too dark nor too bright"),
    "eyes": ("Eyes open", "as the face mesh sees them"),
    "face": ("Face", "as the face mesh recognises it"),
}
COUNTS = {
    "captured": "Captured",
    "stored": "Stored",
    "waiting": "Waiting",
    "refused": "Refused",
    "expired": "Expired",
    "erased": "Erased",
    "missing": "Missing",
    "unproven": "Not proven",
}
RENEW_DAYS = 21
"""Days before its expiry at which a certificate is marked. A run of edge.yml renews it months earlier."""
MOST_SHOWN = 1e15
"""Largest number that a page shows."""
VERDICTS = {0: ("ready", "proven"), 9: ("offline", "fault found"), 10: ("problem", "not proven")}


def why(shot: Shot) -> str:
    """Return why this picture was taken."""
    return WHY.get(str(shot.metadata.get("why")), "unknown")


def clock(shot: Shot) -> str:
    """Return whether the time of capture can be trusted."""
    synchronised = shot.metadata.get("clock_synchronised")
    if synchronised is True:
        return "set by a time server"
    if synchronised is False:
        return "not set by a time server: the time may be wrong"
    return "unknown whether a time server had set it"  # also for a value that an early index has, and no edge writes


def terms(shot: Shot) -> list[tuple[str, str, float]]:
    """Return name, meaning and value (0 to 1) of each term of the quality."""
    found = shot.metadata.get("shot_terms", {})
    return [
        (*TERMS.get(name, (name.capitalize(), "")), min(max(float(term), 0.0), 1.0)) for name, term in found.items()
    ]


def facts(shot: Shot) -> list[tuple[str, str]]:
    """Return the other metadata of a face as pairs of name and text."""
    metadata = shot.metadata
    if not metadata:
        return []
    x1, y1, x2, y2 = metadata["box"]
    width, height = metadata["frame_size"]
    count = metadata["chosen_from"]
    return [
        ("Why this picture", why(shot)),
        ("Chosen from", "1 detection" if count == 1 else f"{count} detections of the visit"),
        ("Face in the frame", f"{x2 - x1} by {y2 - y1} of {width} by {height} pixels"),
        ("Detector", f"{metadata['detector']}, {metadata['score']:.0%} sure"),
        ("Clock of the edge", clock(shot)),
        ("Program", f"face-app {metadata['version']}" if metadata["version"] else "face-app before 0.2"),
    ]


def certificate(document: Mapping[str, Any]) -> tuple[str, str]:
    """Return the class of a badge, empty for none, and the days until the certificate of an edge expires."""
    days = number(document, "certificate_days")
    if days is None:
        return "", "unknown"
    if days <= 0:
        return "offline", "expired"
    return "problem" if days < RENEW_DAYS else "", "1 day left" if days < 2 else f"{days:,.0f} days left"


def number(document: Mapping[str, Any], name: str) -> float | None:
    """Return a number of a state; None if it is none, or beyond what can be shown: an edge can claim anything."""
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MOST_SHOWN:
        return None
    return float(value)


def verdict(audit: EdgeAudit | None) -> tuple[str, str]:
    """Return the class of a badge and its text."""
    if audit is None:
        return "offline", "unreadable"
    return VERDICTS.get(audit.exit_code, ("problem", f"exit code {audit.exit_code}"))


def count(row: OutboxRow, name: str) -> str:
    """Return one term of the equation; a lower bound where the ledger is missing."""
    number = row.counts.get(name)
    if number is None:
        return "unknown"
    return f"{number:,}" if row.ledger or name != "captured" else f"≥ {number:,}"


def age(at: datetime) -> str:
    """Return how old a time is."""
    return duration(max(0.0, (datetime.now(timezone.utc) - at).total_seconds()))


def duration(seconds: float | None) -> str:
    """Return a duration in its largest unit."""
    if seconds is None:
        return "unknown"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def plural(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def hop(document: Mapping[str, Any], name: str) -> str:
    """Return ``up``, ``down`` or ``unknown`` for one hop of an edge's uplink."""
    state = document.get(f"hop_{name}")
    return "unknown" if state is None else "up" if state else "down"
