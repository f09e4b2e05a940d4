"""Run `face-app capture`: the main thread runs source, pipeline and outbox; others send, publish and serve health."""

import logging
import threading
import time
from contextlib import nullcontext
from functools import partial

from face_app.common.settings import EdgeSettings
from face_app.edge import metrics
from face_app.edge.commands.commit import append_patiently, describe, require_stored, wait_for_receipts
from face_app.edge.commands.progress import Progress, interval_of
from face_app.edge.commands.stop import stop_on_signals
from face_app.edge.commands.summary import CaptureSummary, summarise
from face_app.edge.health.health import SourceWatchdog, edge_health, serve_health_endpoint
from face_app.edge.health.status_publisher import publish_status
from face_app.edge.image import set_up_opencv
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.sources.open_source import open_source
from face_app.edge.uplink.sender import Sender
from face_app.edge.vision.encode import encode_face
from face_app.edge.vision.pipeline import PipelineResult, VisionPipeline, run_pipeline

log = logging.getLogger(__name__)


def run(settings: EdgeSettings, *, wait: float) -> CaptureSummary:
    """Detect and commit faces until the source ends, `camera.stop_after` is reached, or a signal arrives.

    Args:
        settings: Settings of the edge.
        wait: Maximum seconds to wait for the receipts of this run's faces after the source has ended.

    Raises:
        SourceError: The source cannot be opened or decoded.
        DetectorError: The detector cannot be loaded.
        OutboxError: The outbox cannot be opened or written.
        StillWaitingError: Faces of this run still wait; the error contains the summary. Not raised after a signal.
    """
    started = time.monotonic()
    camera = settings.camera
    set_up_opencv()
    watchdog = SourceWatchdog(camera.read_timeout + camera.reopen_max)
    with (
        stop_on_signals() as stop,
        # It loads the detector, which takes seconds: a signal must count already.
        nullcontext(VisionPipeline(settings)) as pipeline,
        open_source(camera, stop) as source,
        Outbox(settings.outbox) as outbox,
        Sender(settings, outbox) as sender,
        serve_health_endpoint(settings.metrics, outbox, sender, watchdog),
        publish_status(settings, outbox, partial(edge_health, outbox, sender, watchdog)) as status,
    ):
        progress = Progress(source.length, interval_of(source), lambda: describe(outbox.run_counts()))
        committer = FaceCommitter(settings, pipeline.detector, outbox, stop, watchdog)

        def commit_and_wake(result: PipelineResult) -> int:
            faces = committer.commit(result)
            if faces:
                sender.wake()
            return faces

        with run_pipeline(source, pipeline, commit_and_wake) as results:
            for frame, result in results:
                watchdog.frame_received(unchanged=frame.unchanged)
                sender.check()
                metrics.FRAMES.inc()
                faces = commit_and_wake(result)
                status.frame(frame.captured_at, faces=faces)
                watchdog.frame_processed()
                progress.update(source.count)
                if committer.limit_reached:
                    break
        progress.update(source.count)  # the source may have skipped frames after the last result
        wait_for_receipts(outbox, sender, progress, stop, wait)
        summary = summarise(outbox, progress.frames, time.monotonic() - started)
        obstacle = sender.state.obstacle
    if not stop.is_set():
        require_stored(summary, outbox, obstacle)
    return summary


class FaceCommitter:
    """Commits the shots and visits of each pipeline result in one transaction.

    Attributes:
        limit_reached: True when `camera.stop_after` faces are committed.
    """

    def __init__(
        self, settings: EdgeSettings, detector: str, outbox: Outbox, stop: threading.Event, watchdog: SourceWatchdog
    ) -> None:
        """Prepare for the first commit.

        Args:
            settings: Settings of the edge.
            detector: Name of the detector.
            outbox: Receives the faces.
            stop: Ends the wait for room in the outbox.
            watchdog: Receives the reason while no face can be committed.
        """
        self.limit_reached = False
        self._settings = settings
        self._detector = detector
        self._outbox = outbox
        self._stop = stop
        self._watchdog = watchdog
        self._committed = 0

    def commit(self, result: PipelineResult) -> int:
        """Commit a result. While the outbox cannot accept it, wait; meanwhile the source waits too.

        Returns:
            Number of committed faces; shots beyond `camera.stop_after` are dropped.

        Raises:
            OutboxError: The outbox cannot accept the result at all, or the program stops before it can.
        """
        max_faces = self._settings.camera.stop_after
        shots = result.shots[: max_faces - self._committed] if max_faces else result.shots
        if not shots and not result.visits:
            return 0
        faces = [encode_face(shot, self._settings, self._detector, self._outbox.run) for shot in shots]
        committed = append_patiently(self._outbox, faces, result.visits, self._stop, self._watchdog)
        metrics.VISITS.inc(len(result.visits))
        for visit in result.visits:
            if visit.dismissed:
                metrics.VISITS_DISMISSED.labels(visit.dismissed).inc()
        self._committed += committed
        self.limit_reached = max_faces is not None and self._committed >= max_faces
        return committed
