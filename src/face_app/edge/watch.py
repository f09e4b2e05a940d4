"""`face-app capture`: a source, the eyes, the outbox; beside them the sender."""

import threading
import time
from contextlib import nullcontext
from functools import partial

from face_app.edge import figures, opencv
from face_app.edge.capture import Eyes
from face_app.edge.keeper import Keeper
from face_app.edge.outbox import Outbox, Tally
from face_app.edge.progress import Progress
from face_app.edge.readiness import Pulse, readiness, told
from face_app.edge.sender import Sender
from face_app.edge.sources.choose import choose_source
from face_app.edge.status import told_state
from face_app.edge.stop import stop_on_signals
from face_app.edge.summary import CaptureSummary, summarise
from face_app.errors import StillWaitingError
from face_app.settings import EdgeSettings

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
    pulse = Pulse(camera.read_timeout + camera.reopen_max)
    with (
        stop_on_signals() as stop,
        nullcontext(Eyes(settings)) as eyes,  # the detector takes its time to load, and a signal may come
        choose_source(camera, stop) as source,
        Outbox(settings.outbox) as outbox,
        Sender(settings, outbox) as sender,
        told(settings.metrics, outbox, sender, pulse),
        told_state(settings, outbox, partial(readiness, outbox, sender, pulse)) as state,
    ):
        progress = Progress(source.length, 60 if source.live else 1, lambda: _how(outbox.tally()))
        keeper = Keeper(settings, eyes.detector, outbox, stop, pulse)
        try:
            for frame in source:
                pulse.beat()
                sender.check()
                figures.FRAMES.inc()
                faces = keeper.keep(eyes.look(frame))
                if faces:
                    sender.wake()
                state.frame(frame.captured_at, faces=faces)
                pulse.look()
                source.interval = eyes.interval
                progress.reached(source.count)
                if keeper.enough:
                    break
        finally:  # whatever ends it, who is in the picture is not to be lost
            if keeper.keep(eyes.close()):
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
