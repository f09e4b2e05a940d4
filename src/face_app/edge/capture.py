"""`face-app capture`: source, detector, tracker, crop, outbox; beside them the sender."""

import logging
import threading
import time
from contextlib import nullcontext
from functools import partial

from face_app.edge import figures, opencv
from face_app.edge.backoff import pauses
from face_app.edge.clock import clock_synchronised
from face_app.edge.crop import cut, encode
from face_app.edge.detect import load_detector
from face_app.edge.face import NewFace
from face_app.edge.outbox import Outbox
from face_app.edge.progress import Progress
from face_app.edge.readiness import Pulse, readiness, told
from face_app.edge.sender import Sender
from face_app.edge.sources.choose import choose_source
from face_app.edge.sources.frame import Frame
from face_app.edge.status import told_state
from face_app.edge.stop import stop_on_signals
from face_app.edge.summary import CaptureSummary, summarise
from face_app.edge.track import Sighting, Tracker
from face_app.errors import OutboxUnavailableError, StillWaitingError
from face_app.metadata import FaceMetadata
from face_app.settings import EdgeSettings

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
    opencv.set_up()
    tracker = Tracker()
    pulse = Pulse(camera.read_timeout + camera.reopen_max)
    with (
        stop_on_signals() as stop,
        nullcontext(load_detector(settings.detector)) as detector,  # it takes its time, and a signal may come
        choose_source(camera, stop) as source,
        Outbox(settings.outbox) as outbox,
        Sender(settings, outbox) as sender,
        told(settings.metrics, outbox, sender, pulse),
        told_state(settings, outbox, partial(readiness, outbox, sender, pulse)) as seen,
    ):
        progress = Progress(outbox, source.length, seconds=60 if source.live else 1)
        captured = 0
        for frame in source:
            pulse.beat()
            sender.check()
            figures.FRAMES.inc()
            sightings = tracker.update(detector.detect(frame.image), frame.elapsed)
            faces = [_photograph(frame, each, detector.name, settings) for each in sightings if each.due]
            if camera.stop_after:
                faces = faces[: camera.stop_after - captured]
            if faces:
                _commit(outbox, faces, stop, pulse)
                sender.wake()
                captured += len(faces)
            seen.frame(frame.captured_at, faces=len(faces))
            progress.frame()
            if captured == camera.stop_after:
                break
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


def _photograph(frame: Frame, sighting: Sighting, detector: str, settings: EdgeSettings) -> NewFace:
    """Cut a face out of its frame, and keep what is known about it."""
    height, width = frame.image.shape[:2]
    detection = sighting.detection
    x1, y1, x2, y2 = (round(edge) for edge in detection.box)
    score = round(detection.score, 4)
    return NewFace(
        encode(cut(frame.image, detection.box, settings.crop.margin), settings.crop),
        partial(
            FaceMetadata,
            edge=settings.edge,
            camera=settings.camera.name,
            captured_at=frame.captured_at,
            track=sighting.track,
            frame_size=(width, height),
            box=(x1, y1, x2, y2),
            landmarks=tuple((round(x, 1), round(y, 1)) for x, y in detection.landmarks),
            detector=detector,
            score=score,
            shot_score=score,
            shot_terms={"score": score},
            why="first" if sighting.first else "again",
            clock_synchronised=clock_synchronised(),
        ),
    )


def _commit(outbox: Outbox, faces: list[NewFace], stop: threading.Event, pulse: Pulse) -> None:
    """Commit faces, and hold them, and the source, for as long as the outbox cannot take them.

    Raises:
        OutboxError: It will not take them, or the program is to end before it does.
    """
    waits = pauses(30)
    while True:
        pause = next(waits)
        try:
            outbox.add(faces)
        except OutboxUnavailableError as error:
            pulse.hold(str(error))
            log.warning("%s. %d faces are held, no frame is taken; trying again in %.0f s", error, len(faces), pause)
            if stop.wait(pause):
                raise
        else:
            figures.CAPTURED.inc(len(faces))
            pulse.beat()
            return


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
