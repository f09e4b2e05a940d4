"""Run `face-app send`: send the waiting faces of an outbox, without a camera."""

import logging
import time

from face_app.common.errors import BrokerError, StillWaitingError
from face_app.common.settings import EdgeSettings
from face_app.edge.commands.progress import FINITE_SECONDS, LIVE_SECONDS
from face_app.edge.commands.stop import stop_on_signals
from face_app.edge.health.health import serve_health_endpoint
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.uplink.sender import Sender

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""Seconds between two polls of the sender's state."""


def run(settings: EdgeSettings, *, until_empty: bool) -> None:
    """Send waiting faces until SIGTERM or SIGINT arrives.

    Args:
        settings: Settings of the edge.
        until_empty: Stop also when no face waits any longer.

    Raises:
        OutboxError: The outbox cannot be opened.
        BrokerError: The broker refuses the connection permanently.
        StillWaitingError: A signal arrived with `until_empty` while faces wait.
    """
    log_seconds = FINITE_SECONDS if until_empty else LIVE_SECONDS
    logged_at = time.monotonic()
    with (
        stop_on_signals() as stop,
        Outbox(settings.outbox) as outbox,
        Sender(settings, outbox) as sender,
        serve_health_endpoint(settings.metrics, outbox, sender),
    ):
        while not stop.wait(POLL_SECONDS):
            sender.check()
            state = sender.state
            if state.refused:
                raise BrokerError(f"{state.obstacle}; the faces wait in {outbox.path}")
            waiting, oldest = outbox.backlog()
            if until_empty and not waiting:
                log.info("no face waits")
                return
            if waiting and time.monotonic() - logged_at >= log_seconds:
                log.info("%d faces wait, the oldest for %.0f s: %s", waiting, oldest, state.obstacle)
                logged_at = time.monotonic()
        waiting, _ = outbox.backlog()
        if until_empty and waiting:
            raise StillWaitingError(f"stopped while {waiting} faces wait in {outbox.path}: {sender.state.obstacle}")
