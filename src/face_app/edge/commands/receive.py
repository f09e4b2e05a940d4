"""Run `face-app capture` with an MQTT source: commit each published picture as a face, without a detector."""

import logging
import time
from functools import partial

from face_app import __version__
from face_app.common.errors import MessageError
from face_app.common.metadata import FaceMetadata
from face_app.common.settings import EdgeSettings
from face_app.edge import metrics
from face_app.edge.clock import clock_synchronised
from face_app.edge.commands.commit import append_patiently, describe, require_stored, wait_for_receipts
from face_app.edge.commands.progress import LIVE_SECONDS, Progress
from face_app.edge.commands.stop import stop_on_signals
from face_app.edge.commands.summary import CaptureSummary, summarise
from face_app.edge.health.health import SourceWatchdog, edge_health, serve_health_endpoint
from face_app.edge.health.status_publisher import publish_status
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.records import NewFace
from face_app.edge.sources.published import (
    PublishedPicture,
    PublishedPictures,
    PublishedSource,
    check_picture,
    parse_published,
)
from face_app.edge.uplink.sender import Sender

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""Maximum seconds until a signal, or a lost connection, is noticed."""


def run(settings: EdgeSettings, *, wait: float) -> CaptureSummary:
    """Commit published pictures until `camera.stop_after` is reached or a signal arrives.

    A picture is acknowledged after its commit, so a broker that queues it delivers it again after a kill.

    Args:
        settings: Settings of the edge.
        wait: Maximum seconds to wait for the receipts of this run's faces at the end.

    Raises:
        SourceError: The address of the pictures is invalid.
        SettingsError: An identity file cannot be read.
        BrokerError: The broker of the pictures refuses this client permanently.
        OutboxError: The outbox cannot be opened or written.
        StillWaitingError: Faces of this run still wait. Not raised after a signal.
    """
    started = time.monotonic()
    camera = settings.camera
    source = parse_published(str(camera.source), settings.source_broker)
    watchdog = SourceWatchdog(camera.read_timeout + camera.reopen_max)
    with (
        stop_on_signals() as stop,
        Outbox(settings.outbox) as outbox,
        Sender(settings, outbox) as sender,
        serve_health_endpoint(settings.metrics, outbox, sender, watchdog),
        publish_status(settings, outbox, partial(edge_health, outbox, sender, watchdog)) as status,
        PublishedPictures(source, f"{settings.edge}-{camera.name}") as pictures,
    ):
        progress = Progress(None, LIVE_SECONDS, lambda: describe(outbox.run_counts()))
        committed = 0
        while not stop.is_set() and not (camera.stop_after and committed >= camera.stop_after):
            sender.check()
            _observe(pictures, watchdog)
            progress.log_if_due()
            picture = pictures.next(POLL_SECONDS)
            if not picture:
                continue
            progress.update(progress.frames + 1)
            metrics.FRAMES.inc()
            face = _new_face(picture, source, settings, f"{outbox.run}-{progress.frames}", progress.frames)
            added = append_patiently(outbox, [face], (), stop, watchdog) if face else 0
            pictures.acknowledge(picture)
            committed += added
            status.frame(picture.received_at, faces=added)
            if added:
                sender.wake()
        wait_for_receipts(outbox, sender, progress, stop, wait)
        summary = summarise(outbox, progress.frames, time.monotonic() - started)
        obstacle = sender.state.obstacle
    if not stop.is_set():
        require_stored(summary, outbox, obstacle)
    return summary


def _observe(pictures: PublishedPictures, watchdog: SourceWatchdog) -> None:
    """Record that pictures can arrive. A scene without a picture for hours is not a fault."""
    if pictures.connection.subscribed:
        watchdog.frame_received()
        watchdog.frame_processed()
    else:
        pictures.connection.wait_for_outcome(0)
        watchdog.advice = pictures.connection.problem


def _new_face(
    picture: PublishedPicture, source: PublishedSource, settings: EdgeSettings, visit: str, track: int
) -> NewFace | None:
    """Return a picture as a face; None if it is refused, which is counted and logged."""
    try:
        name = source.camera(picture.topic, settings.camera.name)
        image, size = check_picture(picture.data)
    except MessageError as error:
        metrics.PICTURES_REFUSED.labels(error.reason).inc()
        log.warning("a picture on %.200r is refused: %s", picture.topic, error)
        return None
    metadata = FaceMetadata(
        edge=settings.edge,
        camera=name,
        captured_at=picture.received_at,
        track=track,
        frame_size=size,
        box=(0, 0, *size),
        landmarks=(),
        detector=f"mqtt {picture.topic}"[:200],
        score=0.0,
        shot_score=0.0,
        shot_terms={},
        why="received",
        clock_synchronised=clock_synchronised(),
        version=__version__,
        visit=visit,
    )
    return NewFace(image, metadata, picture.origin)
