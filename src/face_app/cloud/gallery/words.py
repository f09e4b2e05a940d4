"""Say what metadata and states mean, in words."""

from typing import Any

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
CLOCKS = {
    True: "set by a time server",
    False: "not set by a time server: the time may be wrong",
    None: "unknown whether a time server had set it",
}


def why(shot: Shot) -> str:
    """Return why this picture was taken."""
    return WHY.get(str(shot.metadata.get("why")), "unknown")


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
        ("Clock of the edge", CLOCKS.get(metadata["clock_synchronised"], CLOCKS[None])),
        ("Program", f"face-app {metadata['version']}" if metadata["version"] else "face-app before 0.2"),
    ]


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


def hop(document: dict[str, Any], name: str) -> str:
    """Return ``up``, ``down`` or ``unknown`` for one hop of an edge's uplink."""
    state = document.get(f"hop_{name}")
    return "unknown" if state is None else "up" if state else "down"
