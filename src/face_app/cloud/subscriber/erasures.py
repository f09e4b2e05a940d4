"""Know the tombstones: a face that one covers is not stored, and gets a receipt of result erased."""

import logging
import threading
import time
from collections.abc import Callable

from face_app.cloud.bucket import operations
from face_app.cloud.bucket.selection import Described, Selection, hash_of
from face_app.cloud.bucket.tombstone import NONE, TOMBSTONES, Tombstones, read_tombstones
from face_app.common import settings
from face_app.common.errors import StoreError

log = logging.getLogger(__name__)

REFRESHES = 3
"""Number of listings within the staleness limit, so that one that fails or is slow does not exceed it."""
RETRY_SECONDS = 2.0
"""Seconds until a failed listing is repeated; shorter if the limit is."""


class Erasures:
    """Lists the tombstones periodically. Thread-safe.

    A list that is older than the staleness limit must not be used: `face-app erase` relies on the limit. Then the faces
    wait, as they do while the store is down.
    """

    def __init__(self, store: settings.Store, staleness: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare the thread; `start` starts it.

        Args:
            store: Store of the faces; that of a mount is listed through the S3 API.
            staleness: Maximum age of the list, seconds.
            clock: Returns seconds.

        Raises:
            SettingsError: The credentials file cannot be read.
        """
        self._staleness = staleness
        self._clock = clock
        self._list = operations.lister(store)
        self._get = operations.reader(store)
        self._changed = threading.Condition()
        self._stopping = False
        self._listed_at: float | None = None
        self._failure = ""
        self._known = NONE
        self._hashes: set[str] = set()
        self._ranges: list[Selection] = []

    def start(self) -> None:
        """Start to list, now and periodically."""
        threading.Thread(target=self._run, name="erasures", daemon=True).start()

    def stop(self) -> None:
        """End every wait."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    @property
    def problem(self) -> str:
        """Return why the tombstones are not known; empty while they are."""
        with self._changed:
            if self._fresh():
                return ""
            return f"the tombstones are not known: {self._failure or 'they were not listed yet'}"

    @property
    def tombstones(self) -> Tombstones:
        """Return the tombstones that were listed last."""
        with self._changed:
            return self._known

    def wait(self) -> bool:
        """Wait until the list is fresh enough; return False when the program stops."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._fresh())
            return not self._stopping

    def cover(self, face: Described) -> bool:
        """Return True if a tombstone covers a face, or a refused message."""
        with self._changed:
            hashes, ranges = self._hashes, self._ranges
        if hash_of(face.key) in hashes:
            return any(each.covers(face) for each in self.tombstones.selections() if each.key)
        return any(each.covers(face) for each in ranges)

    def refresh(self) -> None:
        """List the tombstones once; read those that are new.

        Raises:
            StoreError: The bucket does not answer; the known ones remain in use.
        """
        began = self._clock()
        keys = list(self._list(TOMBSTONES))
        found = read_tombstones(keys, self._get, self._known)
        for key in found.bad.keys() - self._known.bad.keys():
            log.error("%s", found.bad[key])
        with self._changed:
            self._known = found
            self._hashes = {hash_of(each.key) for each in found.selections() if each.key}
            self._ranges = [each for each in found.selections() if not each.key]
            self._listed_at = began
            self._failure = ""
            self._changed.notify_all()

    def _fresh(self) -> bool:
        return self._listed_at is not None and self._clock() - self._listed_at < self._staleness

    def _run(self) -> None:
        period = self._staleness / REFRESHES
        while not self._stopping:
            pause = period
            try:
                self.refresh()
            except StoreError as error:
                pause = min(RETRY_SECONDS, period)
                self._failed(str(error))
            except Exception as error:  # the next attempt may succeed
                log.exception("the tombstones could not be listed")
                self._failed(repr(error))
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, pause)

    def _failed(self, why: str) -> None:
        with self._changed:
            if why != self._failure:
                log.warning("the tombstones could not be listed: %s", why)
            self._failure = why
