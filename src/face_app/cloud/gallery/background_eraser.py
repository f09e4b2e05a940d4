"""Erase faces for the gallery: at once what is in the bucket, and in the background what a subscriber stores late."""

import logging
import math
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from face_app.cloud.bucket.face_key_parts import HOUR, camera_of, edge_of, hour_of
from face_app.cloud.bucket.selection import Selection, parse_selection
from face_app.cloud.erasure.eraser import Eraser
from face_app.common.errors import StoreError
from face_app.common.settings import GallerySettings

log = logging.getLogger(__name__)

RETRY_SECONDS = 30.0
"""Seconds until a failed pass over all tombstones is repeated."""
VISIT_MARGIN = HOUR
"""Time before the first and after the last known shot of a visit in which more shots of it may wait at the edge."""


class BackgroundEraser:
    """Erases faces, and completes each erasure in a thread; a restart completes those that were interrupted.

    Attributes:
        problem: Why an erasure is not complete; empty while there is no reason.
    """

    def __init__(self, settings: GallerySettings) -> None:
        """Prepare the thread; `start` starts it.

        Raises:
            SettingsError: The credentials file cannot be read.
        """
        self.problem = ""
        self._eraser = Eraser(settings.store, settings.erasure)
        self._wake = threading.Condition()
        self._due = time.monotonic()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="eraser", daemon=True)

    def start(self) -> None:
        """Complete the erasures that an earlier run may have left."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; the next start completes what remains."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join(5)

    def erase(self, key: str, user: str) -> None:
        """Erase one face; see `Eraser` of the gallery."""
        self._erase([parse_selection({"key": key})], user)

    def erase_visit(self, keys: Sequence[str], visit: str, user: str) -> None:
        """Erase the known shots of a visit, and those that wait at the edge; see `Eraser` of the gallery."""
        selections = [parse_selection({"key": key}) for key in keys]
        waiting = _visit_range(keys, visit)
        self._erase([*selections, waiting] if waiting else selections, user)

    def _erase(self, selections: list[Selection], user: str) -> None:
        tombstones = self._eraser.order(selections, by=user)
        with self._wake:  # first: the thread completes what the next line leaves
            self._due = min(self._due, time.monotonic() + self._eraser.seconds_until_known(tombstones))
            self._wake.notify_all()
        erased = self._eraser.sweep(selections)
        log.info("%d faces and %d copies are erased for %s", len(erased.keys), len(erased.copies), user)

    def _run(self) -> None:
        while self._wait():
            self._complete_safely()

    def _complete_safely(self) -> None:
        try:
            self._complete()
            self.problem = ""
        except StoreError as error:
            self._repeat(str(error))
        except Exception as error:  # the next pass may succeed
            log.exception("an erasure could not be completed")
            self._repeat(repr(error))

    def _complete(self) -> None:
        tombstones = self._eraser.tombstones()
        for why in tombstones.bad.values():
            log.error("%s", why)
        again = self._eraser.seconds_until_known(tombstones)
        with self._wake:
            self._due = time.monotonic() + again if again else math.inf
        erased = self._eraser.sweep(tombstones.selections())
        if erased.keys or erased.copies:
            log.info("%d faces and %d copies of earlier erasures are erased", len(erased.keys), len(erased.copies))

    def _repeat(self, why: str) -> None:
        if why != self.problem:
            log.warning("an erasure is not complete: %s; it is repeated", why)
        self.problem = why
        with self._wake:
            self._due = time.monotonic() + RETRY_SECONDS

    def _wait(self) -> bool:
        """Wait until a pass is due; return False when the program stops."""
        with self._wake:
            while not self._stopping and time.monotonic() < self._due:
                seconds = self._due - time.monotonic()
                self._wake.wait(None if math.isinf(seconds) else max(0.0, seconds))
            return not self._stopping


def _visit_range(keys: Sequence[str], visit: str) -> Selection | None:
    """Return the range of a visit around its known shots, until now; None if it would be empty."""
    hours = [hour_of(key) for key in keys]
    since = min(hours) - VISIT_MARGIN
    until = min(max(hours) + HOUR + VISIT_MARGIN, datetime.now(timezone.utc).replace(microsecond=0))
    if since >= until or until - since > timedelta(days=365):
        return None
    limits = {"edge": edge_of(keys[0]), "camera": camera_of(keys[0]), "visit": visit}
    return parse_selection({**limits, "from": since.isoformat(), "to": until.isoformat()})
