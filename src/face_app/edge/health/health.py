"""Whether the edge gets its work done: frames come, and faces leave."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from face_app.common import health_server, settings
from face_app.common.health_server import Health, Work
from face_app.edge import metrics
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.uplink.sender import Sender
from face_app.edge.uplink.sender_state import SenderState

LATELY_SECONDS = 60.0
"""How long a receipt proves that faces get through."""


class SourceWatchdog:
    """When the last frame came.

    A source counts as alive for `most` seconds after its last frame, and as long after the start.

    Attributes:
        held: Why no frame is taken; empty while frames are.
        full: Whether that is because of the faces that wait.
        looked: Frames that were dealt with to the end.
    """

    def __init__(self, most: float) -> None:
        self.most = most
        self.held = ""
        self.full = False
        self.looked = 0
        self._last = time.monotonic()

    def beat(self) -> None:
        """A frame came, and nothing holds its faces."""
        self.held = ""
        self._last = time.monotonic()

    def look(self) -> None:
        """The frame that came was looked at, and its faces are kept."""
        self.looked += 1

    def hold(self, reason: str, *, full: bool = False) -> None:
        """No frame is taken, for the outbox does not take faces."""
        self.held, self.full = reason, full

    @property
    def age(self) -> float:
        """Seconds since the last frame."""
        return time.monotonic() - self._last


def readiness(outbox: Outbox, sender: Sender, pulse: SourceWatchdog | None = None) -> Health:
    """Judge a running program.

    Args:
        outbox: Where its faces wait.
        sender: Who sends them.
        pulse: Of its source; None for a program without one.
    """
    state = sender.state
    waiting, oldest = outbox.backlog()
    stored_age = outbox.stored_age
    # Nobody is late at the start: a deploy during an outage is a good one.
    late = min(oldest, math.inf if stored_age is None else stored_age, state.running) > outbox.late_after
    waits = f"{waiting} faces wait, the oldest for {oldest:.0f} s: {state.obstacle}"
    held = pulse.held if pulse else ""
    # What fills while nothing can leave is emptied by the cloud's return, and by nothing that is done here. Of the
    # processes of one outbox only the one that sends knows whether anything can.
    fault = "" if pulse and pulse.full and not state.up else held
    if not fault and (state.failure or (state.elected and not state.connected)):
        fault = waits
    problem = held or fault or (waits if late else "")
    if pulse and pulse.age > pulse.most and not held:
        problem = f"no frame for {pulse.age:.0f} s: look at the camera"
    return Health(
        ready=not problem,
        facts={
            "frame_age": round(pulse.age, 1) if pulse else None,
            "waiting": waiting,
            "oldest_waiting": round(oldest, 1),
            "last_stored_age": None if stored_age is None else round(stored_age, 1),
            "outbox_fullness": round(outbox.fullness, 3),
            "sender": state.elected,
            "connected": state.connected,
            "link_up": state.up,
            **{f"hop_{name}": up for name, up in state.hops.items()},
        },
        problem=problem,
        fault=fault,
        unproven=_unproven(state, pulse, waiting, stored_age),
    )


def _unproven(
    state: SenderState, pulse: SourceWatchdog | None, waiting: int, stored_age: float | None
) -> dict[str, str]:
    """Say what nobody has seen this program do lately; that a camera is off, or the cloud away, is no fault of it."""
    unproven = {}
    if pulse and (not pulse.looked or pulse.age > pulse.most):
        unproven[Work.FRAMES.value] = "no frame is looked at: look at the camera"
    if state.elected and not state.up:
        unproven[Work.WAY.value] = state.obstacle
    if state.elected and waiting and (stored_age is None or stored_age > min(state.running, LATELY_SECONDS)):
        unproven[Work.RECEIPTS.value] = f"{waiting} faces wait, and no receipt comes: {state.obstacle}"
    return unproven


@contextmanager
def told(
    listener: settings.Metrics, outbox: Outbox, sender: Sender, pulse: SourceWatchdog | None = None
) -> Iterator[None]:
    """Answer /metrics and /ready meanwhile.

    Raises:
        SettingsError: The port is taken.
    """
    _expose(outbox, sender, pulse)
    server = health_server.serve(listener, lambda: readiness(outbox, sender, pulse))
    try:
        yield
    finally:
        if server:
            server.shutdown()
            server.server_close()


def _expose(outbox: Outbox, sender: Sender, pulse: SourceWatchdog | None) -> None:
    """Let each gauge ask when it is read."""
    metrics.WAITING.set_function(lambda: outbox.backlog()[0])
    metrics.OLDEST.set_function(lambda: outbox.backlog()[1])
    metrics.LAST_STORED.set_function(lambda: math.nan if outbox.stored_age is None else outbox.stored_age)
    metrics.FULLNESS.set_function(lambda: outbox.fullness)
    metrics.HELD.set_function(lambda: sum(outbox.refused().values()))
    metrics.ELECTED.set_function(lambda: sender.state.elected)
    metrics.QUIET.set_function(lambda: sender.state.quiet)
    metrics.WINDOW.set_function(lambda: sender.state.window)
    for hop in sender.state.hops:
        metrics.HOP.labels(hop).set_function(partial(_hop, sender, hop))
    if pulse:
        metrics.FRAME_AGE.set_function(lambda: pulse.age)


def _hop(sender: Sender, name: str) -> float:
    return float(sender.state.hops[name])
