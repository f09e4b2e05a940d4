"""`face-app capture`: a source, the eyes, the outbox; beside them the sender."""

import logging
import threading
import time
from contextlib import nullcontext
from functools import partial

from face_app.common.backoff import pauses
from face_app.common.errors import OutboxFullError, OutboxUnavailableError, StillWaitingError
from face_app.common.settings import EdgeSettings
from face_app.edge import metrics
from face_app.edge.commands.progress import Progress
from face_app.edge.commands.stop import stop_on_signals
from face_app.edge.commands.summary import CaptureSummary, summarise
from face_app.edge.health.health import SourceWatchdog, edge_health, serve_health_endpoint
from face_app.edge.health.status_publisher import publish_status
from face_app.edge.image import set_up_opencv
from face_app.edge.outbox.outbox import Outbox, Tally
from face_app.edge.sources.open_source import open_source
from face_app.edge.uplink.sender import Sender
from face_app.edge.vision.encode import encode_face
from face_app.edge.vision.pipeline import PipelineResult, VisionPipeline

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
"""How long a signal leaves for the last faces to be stored; Docker kills after ten."""

LOOK_SECONDS = 0.1
"""Between two looks whether the last faces are stored; another process may be the one that sends."""


def run(settings: EdgeSettings, *, wait: float) -> CaptureSummary:
    """See faces and commit them, until the source ends, enough are captured, or SIGTERM or SIGINT comes.

    Args:
        settings: Of the edge.
        wait: Most seconds to wait, after the source's end, until the faces of this run are stored or refused.

    Raises:
        SourceError: The source cannot be opened or decoded.
        DetectorError: The detector cannot be loaded.
        OutboxError: The outbox cannot be opened or written.
        StillWaitingError: Faces of this run still wait; it carries the summary. A signal ends the run without it.
    """
    started = time.monotonic()
    camera = settings.camera
    set_up_opencv()
    pulse = SourceWatchdog(camera.read_timeout + camera.reopen_max)
    with (
        stop_on_signals() as stop,
        nullcontext(VisionPipeline(settings)) as eyes,  # the detector takes its time to load, and a signal may come
        open_source(camera, stop) as source,
        Outbox(settings.outbox) as outbox,
        Sender(settings, outbox) as sender,
        serve_health_endpoint(settings.metrics, outbox, sender, pulse),
        publish_status(settings, outbox, partial(edge_health, outbox, sender, pulse)) as state,
    ):
        progress = Progress(source.length, 60 if source.live else 1, lambda: _how(outbox.tally()))
        keeper = Keeper(settings, eyes.detector, outbox, stop, pulse)
        try:
            for frame in source:
                pulse.frame_received()
                sender.check()
                metrics.FRAMES.inc()
                faces = keeper.keep(eyes.process(frame))
                if faces:
                    sender.wake()
                state.frame(frame.captured_at, faces=faces)
                pulse.frame_processed()
                source.interval = eyes.interval
                progress.reached(source.count)
                if keeper.enough:
                    break
        finally:  # whatever ends it, who is in the picture is not to be lost
            if keeper.keep(eyes.finish()):
                sender.wake()
        progress.reached(source.count)  # the last frames may be ones that nobody wanted
        _wait(outbox, sender, progress, stop, wait)
        summary = summarise(outbox, progress.frames, time.monotonic() - started)
        obstacle = sender.state.obstacle
    if summary.waiting and not stop.is_set():
        raise StillWaitingError(
            f"{summary.waiting} faces wait in {outbox.path}: {obstacle}. "
            "`face-app send`, or the next capture with this outbox, sends them",
            summary,
        )
    return summary


def _how(tally: Tally) -> str:
    faces = tally.waiting + tally.stored + tally.refused + tally.expired
    return f"faces {faces}: stored {tally.stored}, waiting {tally.waiting}, refused {tally.refused}"


def _wait(outbox: Outbox, sender: Sender, progress: Progress, stop: threading.Event, seconds: float) -> None:
    """Wait until no face of this run waits; once a signal has come, not for long, and not without a broker."""
    stopped = stop.is_set()
    deadline = time.monotonic() + (min(seconds, STOP_SECONDS) if stopped else seconds)
    while outbox.tally().waiting and time.monotonic() < deadline:
        if not stopped:
            if stop.wait(LOOK_SECONDS):
                return
        elif sender.state.elected and not sender.state.connected:
            return
        else:
            time.sleep(LOOK_SECONDS)
        progress.tell()


class Keeper:
    """Commits shots and visits, each frame's together.

    Attributes:
        enough: Whether as many faces are captured as ``camera.stop_after`` asks for.
    """

    def __init__(
        self, settings: EdgeSettings, detector: str, outbox: Outbox, stop: threading.Event, pulse: SourceWatchdog
    ) -> None:
        """Begin with nothing.

        Args:
            settings: Of the edge.
            detector: Name of the detector.
            outbox: Where faces go.
            stop: Ends the waiting for an outbox that is full.
            pulse: Is told that no frame is taken meanwhile.
        """
        self.enough = False
        self._settings = settings
        self._detector = detector
        self._outbox = outbox
        self._stop = stop
        self._pulse = pulse
        self._captured = 0

    def keep(self, seen: PipelineResult) -> int:
        """Commit what a frame led to, and hold it, and with it the source, while the outbox cannot take it.

        Returns:
            How many faces were committed.

        Raises:
            OutboxError: It will not take them, or the program is to end before it does.
        """
        most = self._settings.camera.stop_after
        shots = seen.shots[: most - self._captured] if most else seen.shots
        if not shots and not seen.visits:
            return 0
        faces = [encode_face(shot, self._settings, self._detector) for shot in shots]
        held = f"{len(faces)} faces and {len(seen.visits)} visits"
        waits = pauses(30)
        while True:
            pause = next(waits)
            try:
                self._outbox.add(faces, seen.visits)
            except OutboxUnavailableError as error:
                self._pulse.block(str(error), full=isinstance(error, OutboxFullError))
                log.warning("%s. %s are held, no frame is taken; trying again in %.0f s", error, held, pause)
                if self._stop.wait(pause):
                    raise
            else:
                break
        metrics.CAPTURED.inc(len(faces))
        metrics.VISITS.inc(len(seen.visits))
        self._pulse.frame_received()
        self._captured += len(faces)
        self.enough = most is not None and self._captured >= most
        return len(faces)
