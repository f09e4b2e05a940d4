"""Find the objects of erased faces: a tombstone covers them, and they are there."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from face_app.cloud.audit.content import THREADS
from face_app.cloud.bucket.selection import Selection, describe
from face_app.cloud.bucket.tombstone import Tombstones


def leftovers(tombstones: Tombstones, keys: Iterable[str], get: Callable[[str], bytes | None]) -> frozenset[str]:
    """Return the keys that tombstones cover; an object that cannot be compared is not one of them.

    Args:
        tombstones: All tombstones.
        keys: Keys of faces.
        get: Fetches an object.

    Raises:
        StoreError: An object cannot be read.
    """
    selected = {selection.key for selection in tombstones.selections() if selection.key}
    ranges = [selection for selection in tombstones.selections() if not selection.key]
    found: set[str] = set()
    undecided: list[tuple[str, list[Selection]]] = []
    for key, nearby in _with_ranges(keys, ranges):
        decisions = {selection.decide(key): selection for selection in nearby}
        if key in selected or True in decisions:
            found.add(key)
        elif None in decisions:
            undecided.append((key, nearby))
    if undecided:
        with ThreadPoolExecutor(THREADS, thread_name_prefix="leftovers") as pool:
            for (key, nearby), data in zip(undecided, pool.map(get, (key for key, _ in undecided)), strict=True):
                described = describe(key, data) if data else None
                if described and any(selection.covers(described) for selection in nearby):
                    found.add(key)
    return frozenset(found)


def _with_ranges(keys: Iterable[str], ranges: list[Selection]) -> Iterator[tuple[str, list[Selection]]]:
    """Yield each key with the ranges that its folder (edge, camera, hour) may belong to."""
    whole = [(replace(selection, visit=""), selection) for selection in ranges]
    folder, nearby = "", []
    for key in keys:
        own = key.rpartition("/")[0]
        if own != folder:
            folder = own
            nearby = [selection for limits, selection in whole if limits.decide(key) is not False]
        yield key, nearby
