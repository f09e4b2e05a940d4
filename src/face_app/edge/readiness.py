"""Whether the edge gets its work done: frames come, and faces leave."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from face_app import metrics, settings
from face_app.edge.outbox import Outbox
from face_app.edge.sender import Sender
from face_app.metrics import Readiness

STUCK_SECONDS = 300.0
"""Without a receipt, though the way is open and a face waits for as long: something is wrong beyond the broker."""


class Pulse:
    """When the last frame came.

    A source counts as alive for `most` seconds after its last frame, and as long after the start.
    """

    def __init__(self, most: float) -> None:
        self.most = most
        self._last = time.monotonic()

    def beat(self) -> None:
        """A frame came."""
        self._last = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the last frame."""
        return time.monotonic() - self._last


def readiness(outbox: Outbox, sender: Sender, pulse: Pulse | None = None) -> Readiness:
    """Judge a running program.

    Args:
        outbox: Where its faces wait.
        sender: Who sends them.
        pulse: Of its source; None for a program without one.
    """
    state = sender.state
    waiting, oldest = outbox.backlog()
    problem = ""
    if pulse and pulse.age > pulse.most:
        problem = f"no frame for {pulse.age:.0f} s: look at the camera"
    elif state.elected and (not state.connected or min(state.quiet, oldest) > STUCK_SECONDS):
        problem = f"{waiting} faces wait: {state.obstacle}"
    return Readiness(
        ready=not problem,
        facts={
            "frame_age": round(pulse.age, 1) if pulse else None,
            "waiting": waiting,
            "oldest_waiting": round(oldest, 1),
            "sender": state.elected,
            "connected": state.connected,
            "link_up": state.up,
        },
        problem=problem,
    )


@contextmanager
def told(listener: settings.Metrics, outbox: Outbox, sender: Sender, pulse: Pulse | None = None) -> Iterator[None]:
    """Answer /metrics and /ready meanwhile.

    Raises:
        SettingsError: The port is taken.
    """
    server = metrics.serve(listener, lambda: readiness(outbox, sender, pulse))
    try:
        yield
    finally:
        if server:
            server.shutdown()
            server.server_close()
