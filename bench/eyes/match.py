"""Matches found boxes with labelled boxes."""

from collections.abc import Sequence

from face_app.edge.image import Box, iou

SAME = 0.3
"""Least intersection over union of one face; cascades draw larger and squarer boxes than people do."""


def match(found: Sequence[Box], labelled: Sequence[Box]) -> list[int | None]:
    """Give each box found, the surest first, the labelled box that it overlaps most and that is not taken yet.

    Returns:
        For each of `found` the place in `labelled`, or None.
    """
    free = set(range(len(labelled)))
    places: list[int | None] = []
    for box in found:
        place = max(free, key=lambda each: iou(box, labelled[each]), default=None)
        if place is not None and iou(box, labelled[place]) < SAME:
            place = None
        free.discard(place)  # type: ignore[arg-type]
        places.append(place)
    return places


def least_side(box: Box) -> float:
    """Width or height, whichever is less; pixels."""
    return min(box[2] - box[0], box[3] - box[1])
