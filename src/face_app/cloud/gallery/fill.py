"""Fill the index from the bucket, and repeat that: what was deleted there disappears here."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Protocol

from face_app.cloud.gallery.bucket_facts import BucketFacts
from face_app.cloud.gallery.face_key import FaceKey, Folder
from face_app.cloud.gallery.index_queries import IndexQueries
from face_app.cloud.gallery.index_writer import IndexWriter, Meanwhile, Names, Part
from face_app.cloud.gallery.listing_parts import ListingParts
from face_app.cloud.gallery.objects import Listed, Objects
from face_app.common.errors import FaceAppError, StoreError

log = logging.getLogger(__name__)

CHECK_SECONDS = 3.0
"""Seconds between two attempts to reach a bucket that does not answer."""
RECENT_DAYS = 2
"""Days of capture that are listed after each connection to the broker: receipts may have been lost meanwhile. Faces of
earlier days appear with the next complete listing."""


@dataclass
class _Changes:
    """Collects the faces that arrive and that are erased during a listing: names by folder."""

    arrived: defaultdict[Folder, set[str]] = field(default_factory=lambda: defaultdict(set))
    erased: defaultdict[Folder, set[str]] = field(default_factory=lambda: defaultdict(set))


@dataclass(frozen=True)
class Progress:
    """Describes the listing of the bucket.

    Attributes:
        listing: True while one runs.
        objects: Number of objects that it has listed so far; after its end, of all.
        last_objects: Number of objects that the last complete one listed.
        completed_at: Time at which the last complete one ended (aware); None if there was none since the start.
        seconds: Duration of the last complete one.
    """

    listing: bool = False
    objects: int = 0
    last_objects: int = 0
    completed_at: datetime | None = None
    seconds: float = 0.0


class ListingWatcher(Protocol):
    """Sees what a listing finds."""

    def on_listed(self, page: list[Listed]) -> None:
        """Take a page of a listing, before the index has it."""

    def on_listing_complete(self, began_at: datetime) -> None:
        """Take the time at which a complete listing began, after its end (aware)."""


class Filler:
    """Lists the bucket in a thread of its own, and takes the faces that receipts report.

    Attributes:
        facts: What the last complete listing found besides faces; None before the first.
        progress: State of the listing.
        problem: Why the thread ended; empty while it runs.
        watcher: Sees each listing; None: nothing does.
    """

    def __init__(
        self,
        objects: Objects,
        writer: IndexWriter,
        queries: IndexQueries,
        *,
        interval: float,
        on_change: Callable[[list[FaceKey]], None],
    ) -> None:
        """Prepare the thread; `start` starts it.

        Args:
            objects: The bucket.
            writer: Writes to the index.
            queries: Reads the index.
            interval: Seconds between two complete listings.
            on_change: Called with new faces, and with an empty list after another change, by any thread.
        """
        self.facts: BucketFacts | None = None
        self.progress = Progress()
        self.problem = ""
        self.watcher: ListingWatcher | None = None
        self._objects = objects
        self._writer = writer
        self._queries = queries
        self._interval = interval
        self._on_change = on_change
        self._changes: _Changes | None = None
        """What arrived and was erased since a listing began; None while none runs."""
        self._changes_lock = threading.Lock()
        self._recent_wanted = False
        self._stopping = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fill", daemon=True)

    def start(self) -> None:
        """Start to list."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the page that is being listed."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def list_recent(self) -> None:
        """Request a listing of the last days."""
        self._recent_wanted = True
        self._wake.set()

    def arrived(self, faces: Mapping[FaceKey, int]) -> None:
        """Add faces that receipts report, with the times of the receipts in milliseconds."""
        with self._changes_lock:
            if self._changes:
                _add(self._changes.arrived, faces)
        added = self._writer.add(faces)
        if added:
            self._on_change(added)

    def erased(self, faces: Collection[FaceKey]) -> None:
        """Remove faces that were erased."""
        with self._changes_lock:
            if self._changes:
                _add(self._changes.erased, faces)
        if [face for face in faces if self._writer.remove(face)]:
            self._on_change([])

    def _run(self) -> None:
        next_listing = 0.0
        while not self._stopping:
            try:
                if self._objects.problem and self._objects.check():
                    log.info("the bucket answers again")
                    self._on_change([])
                if self._objects.problem:
                    pass  # the wait below, then another check
                elif time.monotonic() >= next_listing:
                    with self._record_changes():
                        self._list_all()
                    next_listing = time.monotonic() + self._interval
                elif self._recent_wanted:
                    with self._record_changes():
                        self._list_recent()
            except StoreError as error:
                self.progress = replace(self.progress, listing=False)
                log.warning("%s; trying again in %.0f s", error, CHECK_SECONDS)
                self._on_change([])
            except FaceAppError as error:  # the index is damaged
                self.problem = str(error)
                return
            except Exception as error:
                log.exception("the listing ended")
                self.problem = f"the listing ended: {error}"
                return
            until_listing = max(0.0, next_listing - time.monotonic())
            self._wake.wait(CHECK_SECONDS if self._objects.problem else min(CHECK_SECONDS, until_listing))
            self._wake.clear()

    def _list_all(self) -> None:
        began_at, started, listed = datetime.now(timezone.utc), time.monotonic(), 0
        first = self.progress.completed_at is None
        self.progress = replace(self.progress, listing=True, objects=0)
        facts, parts = BucketFacts(), ListingParts()
        removed = 0
        for page in self._objects.pages(""):
            if self._stopping:
                return
            removed += self._apply(parts, page)
            facts.add(parts.others)
            parts.others.clear()
            listed += len(page)
            self.progress = replace(self.progress, objects=listed)
        removed += self._write(parts.finish())
        removed += self._writer.remove_hours_except(parts.seen, self._meanwhile)
        seconds = time.monotonic() - started
        self.facts = facts
        self.progress = Progress(
            objects=listed, last_objects=listed, completed_at=datetime.now(timezone.utc), seconds=seconds
        )
        if self.watcher:
            self.watcher.on_listing_complete(began_at)
        if first or removed:
            log.info("listed %d objects in %.1f s; %d faces are gone", listed, seconds, removed)
            self._on_change([])

    def _list_recent(self) -> None:
        """List the last days; after a failure they are still wanted."""
        self._recent_wanted = False  # before the listing: another request may come meanwhile
        try:
            self._list_days()
        except StoreError:
            self._recent_wanted = True
            raise

    def _list_days(self) -> None:
        today = datetime.now(timezone.utc)
        days = [(today - timedelta(days=ago)).strftime("%Y/%m/%d") for ago in range(RECENT_DAYS)]
        # Cameras of the index too: the last face of one may be gone from the bucket.
        known = {f"{edge}/{camera}/" for edge, camera, _ in self._queries.cameras()}
        for camera in sorted(known.union(self._objects.cameras())):
            for day in days:
                parts = ListingParts()
                for page in self._objects.pages(f"{camera}{day}/"):
                    if self._stopping:
                        return
                    self._apply(parts, page)
                self._write(parts.finish())

    def _apply(self, parts: ListingParts, page: list[Listed]) -> int:
        if self.watcher:
            self.watcher.on_listed(page)
        return self._write(parts.feed(page))

    def _write(self, parts: Iterable[Part]) -> int:
        """Make the index equal to parts of a listing; return the number of removed faces."""
        added, removed = self._writer.apply(parts, self._meanwhile)
        if added or removed:
            self._on_change([])
        return removed

    @contextmanager
    def _record_changes(self) -> Iterator[None]:
        """Record the faces that arrive, and those that are erased, during a listing: its pages may not show that.

        `arrived` and `erased` record a face before they change the index, and the writer reads the record inside its
        transaction. So a change is either in the record, or follows the comparison.
        """
        with self._changes_lock:
            self._changes = _Changes()
        try:
            yield
        finally:
            with self._changes_lock:
                self._changes = None

    def _meanwhile(self) -> Meanwhile:
        with self._changes_lock:
            changes = self._changes or _Changes()
            return Meanwhile(_copy(changes.arrived), _copy(changes.erased))


def _add(names: defaultdict[Folder, set[str]], faces: Iterable[FaceKey]) -> None:
    for face in faces:
        names[face.folder].add(face.name)


def _copy(names: Mapping[Folder, set[str]]) -> Names:
    return {folder: frozenset(of_folder) for folder, of_folder in names.items()}
