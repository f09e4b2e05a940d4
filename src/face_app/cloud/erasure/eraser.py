"""Erase faces: write the tombstones, then record and delete every object that they cover.

Each step can be interrupted and repeated. The tombstone alone completes the erasure later: subscribers store no face
that it covers, and `pending` deletes what is there.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import islice

from face_app.cloud.bucket import operations
from face_app.cloud.bucket.find_faces import FaceFinder
from face_app.cloud.bucket.open_versions import open_versions
from face_app.cloud.bucket.selection import Selection, is_copy
from face_app.cloud.bucket.tombstone import (
    RECORD,
    TOMBSTONES,
    Tombstone,
    Tombstones,
    check_range,
    dump_tombstone,
    load_tombstone,
    read_tombstones,
    record_key,
)
from face_app.cloud.stores.versions import StoredObject
from face_app.common import settings
from face_app.common.errors import StoreError

log = logging.getLogger(__name__)

THREADS = 16
"""Objects that are deleted in parallel."""
BATCH = 200
"""Objects that are deleted before the next ones are listed."""
PROGRESS_SECONDS = 5.0
"""Seconds between two log lines about the progress."""
SPARE_SECONDS = 5.0
"""Seconds that are added to the staleness limit: a put that began within it may end after it."""
PUT_SECONDS = 40.0
"""Maximum seconds from the time in a tombstone until the bucket has it: three attempts."""


@dataclass
class Erased:
    """Counts what was erased, or with `check` what would be.

    Attributes:
        keys: Keys of the faces.
        copies: Keys of the copies in quarantine.
        unreadable: Keys of faces that a range may cover, but whose metadata cannot be read.
        unattributed: Number of copies in quarantine that name neither time nor camera.
    """

    keys: set[str] = field(default_factory=set)
    copies: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    unattributed: int = 0


class Eraser:
    """Erases faces from one bucket. Thread-safe."""

    def __init__(self, store: settings.Store, erasure: settings.Erasure) -> None:
        """Prepare the access, without a request.

        Raises:
            SettingsError: The credentials file cannot be read.
        """
        if erasure.credentials_file:
            store = store.model_copy(update={"credentials_file": erasure.credentials_file})
        self._store = store
        self._staleness = erasure.staleness
        self._ordered_at = -math.inf
        self._versions = open_versions(store, connections=THREADS)
        self._get = operations.reader(store, connections=THREADS)
        self._put = operations.writer(store, connections=THREADS)

    def find(self, selections: Sequence[Selection]) -> Erased:
        """Return what `erase` would erase now.

        Raises:
            StoreError: No answer, or a refusal.
        """
        return self._sweep(selections, lambda _: None)

    def order(self, selections: Sequence[Selection], *, by: str, why: str = "") -> Tombstones:
        """Write a tombstone for each selection; one that exists is not replaced.

        Returns:
            The tombstones, those that existed with their own time.

        Raises:
            SettingsError: A range has no end.
            StoreError: A tombstone may be missing.
        """
        now = datetime.now(timezone.utc)
        ordered = Tombstones({}, {})
        for selection in selections:
            check_range(selection)
            tombstone = Tombstone(selection, now, by, why)
            present = self._present(tombstone)
            if present is None:
                self._put(tombstone.key, dump_tombstone(tombstone))
                self._ordered_at = time.monotonic()
            ordered.by_key[tombstone.key] = present or tombstone
        return ordered

    def _present(self, tombstone: Tombstone) -> Tombstone | None:
        """Return the tombstone with the same selection; None if there is none, or it is damaged."""
        data = self._get(tombstone.key)
        try:
            return load_tombstone(data, tombstone.key) if data is not None else None
        except StoreError:
            return None

    def tombstones(self) -> Tombstones:
        """Read all tombstones.

        Raises:
            StoreError: No answer, or a refusal.
        """
        return read_tombstones(list(operations.keys(self._store, TOMBSTONES)), self._get)

    def sweep(self, selections: Sequence[Selection]) -> Erased:
        """Record and delete each object that selections cover; their tombstones must exist.

        Raises:
            StoreError: Some objects may be there still; a repetition deletes them.
        """
        return self._sweep(selections, self._delete)

    def seconds_until_known(self, tombstones: Tombstones) -> float:
        """Return the seconds until each subscriber knows all tombstones."""
        now, limit = datetime.now(timezone.utc), self._staleness + SPARE_SECONDS
        own = self._ordered_at + limit - time.monotonic()
        newest = max((each.at for each in tombstones.by_key.values()), default=None)
        others = limit + PUT_SECONDS - (now - newest).total_seconds() if newest else 0.0
        # The age of one that this program has written is known; a clock that was ahead must not make it wait for days.
        return max(0.0, own if own > 0 else min(others, limit + PUT_SECONDS))

    def _sweep(self, selections: Sequence[Selection], act: Callable[[StoredObject], None]) -> Erased:
        result, finder, logged = Erased(), FaceFinder(self._versions), time.monotonic()
        found = finder.find(selections)
        with ThreadPoolExecutor(THREADS, thread_name_prefix="erase") as pool:
            while batch := list(islice(found, BATCH)):
                for _ in pool.map(act, batch):
                    pass  # raises the error of an act
                for each in batch:
                    (result.copies if is_copy(each.key) else result.keys).add(each.key)
                if time.monotonic() > logged + PROGRESS_SECONDS:
                    logged = time.monotonic()
                    log.info("%d objects so far", len(result.keys) + len(result.copies))
        result.unreadable.update(set(finder.unreadable) - result.keys)
        result.unattributed = len(set(finder.unattributed) - result.copies)
        return result

    def _delete(self, found: StoredObject) -> None:
        # The record comes first: without object and record, the audit would count the face as lost.
        if not is_copy(found.key):
            self._put(record_key(found.key), RECORD)
        for version in found.versions:
            self._versions.delete(found.key, version)


def complete(eraser: Eraser, tombstones: Tombstones, *, stop: threading.Event, may_wait: bool = True) -> Erased:
    """Delete what tombstones cover, then again what a subscriber stored that did not know them yet.

    Raises:
        StoreError: Some objects may be there still; a repetition deletes them.
    """
    selections = tombstones.selections()
    result = eraser.sweep(selections)
    seconds = eraser.seconds_until_known(tombstones)
    if not may_wait or seconds == 0:
        return result
    log.info("waiting %.0f s, until every subscriber knows the tombstones", math.ceil(seconds))
    if stop.wait(seconds):
        return result
    later = eraser.sweep(selections)
    return Erased(result.keys | later.keys, result.copies | later.copies, later.unreadable, later.unattributed)
