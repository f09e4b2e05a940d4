"""Commit faces, and wait for their receipts: shared by the two kinds of capture."""

import logging
import threading
import time
from collections.abc import Sequence

from face_app.common.backoff import MAX_PAUSE, pauses
from face_app.common.errors import OutboxFullError, OutboxUnavailableError, StillWaitingError
from face_app.edge import metrics
from face_app.edge.commands.progress import Progress
from face_app.edge.commands.summary import CaptureSummary
from face_app.edge.health.health import SourceWatchdog
from face_app.edge.outbox.outbox import Outbox, RunCounts
from face_app.edge.outbox.records import NewFace, Visit
from face_app.edge.uplink.sender import Sender

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
"""Maximum seconds to wait for the last receipts after a signal; Docker kills the program after ten."""
POLL_SECONDS = 0.1
"""Seconds between two polls for the last receipts; another process may be the sender."""


def append_patiently(
    outbox: Outbox,
    faces: Sequence[NewFace],
    visits: Sequence[Visit],
    stop: threading.Event,
    watchdog: SourceWatchdog,
) -> int:
    """Commit faces and visits. While the outbox cannot accept them, wait; meanwhile the source waits too.

    Args:
        outbox: Receives the faces.
        faces: Faces to commit.
        visits: Visits to commit with them.
        stop: Ends the wait for room in the outbox.
        watchdog: Receives the reason while nothing can be committed.

    Returns:
        Number of committed faces.

    Raises:
        OutboxError: The outbox cannot accept them at all, or the program stops before it can.
    """
    waits = pauses(MAX_PAUSE)
    while True:
        pause = next(waits)
        try:
            committed = len(outbox.append(faces, visits))
        except OutboxUnavailableError as error:
            watchdog.block(str(error), outbox_full=isinstance(error, OutboxFullError))
            pending = f"{len(faces)} faces and {len(visits)} visits"
            log.warning("%s. %s are not committed, capture pauses; trying again in %.0f s", error, pending, pause)
            if stop.wait(pause):
                raise
        else:
            break
    metrics.CAPTURED.inc(committed)
    watchdog.unblock()
    return committed


def require_stored(summary: CaptureSummary, outbox: Outbox, obstacle: str) -> None:
    """Check that no face of a run waits.

    Raises:
        StillWaitingError: Some wait; the error contains the summary.
    """
    if summary.waiting:
        raise StillWaitingError(
            f"{summary.waiting} faces wait in {outbox.path}: {obstacle}. "
            "`face-app send`, or the next capture with this outbox, sends them",
            summary,
        )


def describe(counts: RunCounts) -> str:
    """Describe the faces of a run for a line of its progress."""
    faces = counts.waiting + counts.stored + counts.refused + counts.expired + counts.erased
    return f"faces {faces}: stored {counts.stored}, waiting {counts.waiting}, refused {counts.refused}"


def wait_for_receipts(
    outbox: Outbox, sender: Sender, progress: Progress, stop: threading.Event, seconds: float
) -> None:
    """Wait until no face of this run waits.

    After a signal the wait is at most `STOP_SECONDS`, and it ends at once if the sender is not connected.
    """
    stopped = stop.is_set()
    deadline = time.monotonic() + (min(seconds, STOP_SECONDS) if stopped else seconds)
    while outbox.run_counts().waiting and time.monotonic() < deadline:
        if not stopped:
            if stop.wait(POLL_SECONDS):
                return  # a signal during this wait ends it at once
        elif sender.state.elected and not sender.state.connected:
            return  # no receipt can come
        else:
            time.sleep(POLL_SECONDS)
        sender.check()
        progress.log_if_due()
