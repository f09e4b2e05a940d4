"""`face-app send`: sends what waits in the outbox, without a camera."""

import logging
import time

from face_app.common.errors import BrokerError, StillWaitingError
from face_app.common.settings import EdgeSettings
from face_app.edge.commands.stop import stop_on_signals
from face_app.edge.health.health import serve_health_endpoint
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.uplink.sender import Sender

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""Between two looks at how sending goes."""


def run(settings: EdgeSettings, *, until_empty: bool) -> None:
    """Send until SIGTERM or SIGINT.

    Args:
        settings: Of the edge.
        until_empty: End as well as soon as no face waits.

    Raises:
        OutboxError: The outbox cannot be opened.
        BrokerError: the broker refuses the connection permanently.
        StillWaitingError: A signal came with `until_empty` while faces wait.
    """
    report_every = 1 if until_empty else 60
    reported = time.monotonic()
    with (
        stop_on_signals() as stop,
        Outbox(settings.outbox) as outbox,
        Sender(settings, outbox) as sender,
        serve_health_endpoint(settings.metrics, outbox, sender),
    ):
        while not stop.wait(LOOK_SECONDS):
            sender.check()
            state = sender.state
            if state.refusal:
                raise BrokerError(f"{state.obstacle}; the faces wait in {outbox.path}")
            waiting, oldest = outbox.backlog()
            if until_empty and not waiting:
                log.info("no face waits")
                return
            if waiting and time.monotonic() - reported >= report_every:
                log.info("%d faces wait, the oldest for %.0f s: %s", waiting, oldest, state.obstacle)
                reported = time.monotonic()
        waiting, _ = outbox.backlog()
        if until_empty and waiting:
            raise StillWaitingError(f"stopped while {waiting} faces wait in {outbox.path}: {sender.state.obstacle}")
