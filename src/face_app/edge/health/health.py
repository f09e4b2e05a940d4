"""Determine the health of an edge program: whether frames arrive, and whether faces reach the cloud."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from face_app.common import health_server, settings
from face_app.common.errors import OutboxError
from face_app.common.health_server import Capability, Health
from face_app.edge import metrics
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.sources.frozen import FROZEN_SECONDS
from face_app.edge.uplink.sender import Sender
from face_app.edge.uplink.sender_state import SenderState

RECENT_SECONDS = 60.0
"""Seconds for which a receipt shows that faces reach the cloud."""
LOCK_SECONDS = 1.0
"""Seconds after which the sender has tried to lock the outbox at least once; it tries every half second."""


class SourceWatchdog:
    """Tracks the time since the last frame, and whether the outbox blocks the source.

    Attributes:
        limit: Seconds without a frame after which the source is late; they count from the start too.
        block_reason: Reason why no frame is read; empty while frames are read.
        outbox_full: True if the reason is that waiting faces fill the outbox.
        unchanged: Seconds for which the source has given exactly the same picture.
        processed: Number of frames that were processed completely.
        advice: What is known of a source that gives no frame, or what to check.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.block_reason = ""
        self.outbox_full = False
        self.unchanged = 0.0
        self.processed = 0
        self.advice = "check the camera"
        self._last = time.monotonic()

    def frame_received(self, *, unchanged: float = 0.0) -> None:
        """Record that a frame arrived; the source is no longer blocked."""
        self.unchanged = unchanged
        self.unblock()

    def frame_processed(self) -> None:
        """Record that the pipeline processed the frame and the outbox committed its faces."""
        self.processed += 1

    def block(self, reason: str, *, outbox_full: bool = False) -> None:
        """Record that no frame is read because the outbox accepts no faces."""
        self.block_reason = reason
        self.outbox_full = outbox_full

    def unblock(self) -> None:
        """Record that the source is not blocked; the seconds without a frame count from now on."""
        self.block_reason = ""
        self.outbox_full = False
        self._last = time.monotonic()

    @property
    def age(self) -> float:
        """Return the seconds since the last frame."""
        return time.monotonic() - self._last

    @property
    def late(self) -> bool:
        """Return True if the last frame is older than `limit`."""
        return self.age > self.limit

    @property
    def frozen(self) -> bool:
        """Return True if the source repeats one picture."""
        return self.unchanged > FROZEN_SECONDS


def edge_health(outbox: Outbox, sender: Sender, watchdog: SourceWatchdog | None = None) -> Health:
    """Determine the health of a running program.

    Args:
        outbox: Outbox of the program.
        sender: Sender of the program.
        watchdog: Watchdog of the source; None for a program without a source.
    """
    state = sender.state
    waiting, oldest = outbox.backlog()
    stored_age = outbox.stored_age
    # Late: the oldest waiting face, the last receipt and the start of the program are all older than `late_after`. So a
    # backlog that shrinks is not late, and a deployment during an outage succeeds.
    # Stored faces do not excuse one that the broker cannot accept.
    idle = math.inf if stored_age is None or state.aside else stored_age
    late = min(oldest, idle, state.running) > outbox.late_after
    trouble = f"{waiting} faces wait, the oldest for {oldest:.0f} s: {state.obstacle}" if waiting else state.obstacle
    fault = _fault(state, watchdog, trouble)
    reason = fault or _delay(watchdog, trouble if late else "")
    return Health(
        live=not fault,
        ready=not reason,
        reason=reason,
        capabilities=_capabilities(state, watchdog, waiting, stored_age),
        facts={
            "frame_age": round(watchdog.age, 1) if watchdog else None,
            "waiting": waiting,
            "oldest_waiting": round(oldest, 1),
            "last_stored_age": None if stored_age is None else round(stored_age, 1),
            "aside": state.aside,
            "outbox_fullness": round(outbox.fullness, 3),
            "sender": state.elected,
            "connected": state.connected,
            "link_up": state.up,
            **{f"hop_{name}": up for name, up in state.hops.items()},
        },
    )


def _fault(state: SenderState, watchdog: SourceWatchdog | None, trouble: str) -> str:
    """Return the reason why something on this machine prevents the work; empty if nothing does."""
    # A full outbox is a fault only while the uplink is up. Otherwise it empties when the cloud returns. Only the
    # elected sender knows the state of the uplink; in the other processes of its outbox it counts as down.
    if watchdog and watchdog.block_reason and (state.up or not watchdog.outbox_full):
        return watchdog.block_reason
    if state.failure or (state.elected and not state.connected):
        return trouble
    return ""


def _delay(watchdog: SourceWatchdog | None, trouble_if_late: str) -> str:
    """Return the reason why the work is not done although nothing here prevents it; empty if it is done."""
    if watchdog and watchdog.block_reason:
        return watchdog.block_reason
    if watchdog and watchdog.late:
        return f"no frame for {watchdog.age:.0f} s: {watchdog.advice}"
    if watchdog and watchdog.frozen:
        return f"the picture has not changed for {watchdog.unchanged:.0f} s: check the camera"
    return trouble_if_late


def _capabilities(
    state: SenderState, watchdog: SourceWatchdog | None, waiting: int, stored_age: float | None
) -> frozenset[Capability]:
    """Return the work that was observed recently.

    In a process that does not send, the capabilities of the sender count as observed: only the sender observes them.
    """
    observed = set()
    if watchdog and _reads_frames(watchdog):
        observed.add(Capability.FRAMES)
    # A sender that is not elected has found the outbox locked: another process sends.
    other_sends = not state.elected and not state.failure and state.running > LOCK_SECONDS
    if other_sends or (state.elected and state.up):
        observed.add(Capability.UPLINK)
    recent = stored_age is not None and stored_age <= min(state.running, RECENT_SECONDS)
    if recent or not waiting or other_sends:
        observed.add(Capability.RECEIPTS)
    return frozenset(observed)


def _reads_frames(watchdog: SourceWatchdog) -> bool:
    """Return whether frames are read, or were read until their faces filled the outbox."""
    return watchdog.outbox_full or (watchdog.processed > 0 and not watchdog.late and not watchdog.frozen)


@contextmanager
def serve_health_endpoint(
    endpoint: settings.Metrics, outbox: Outbox, sender: Sender, watchdog: SourceWatchdog | None = None
) -> Iterator[None]:
    """Serve /metrics, /live and /ready while the context lasts.

    Raises:
        SettingsError: The port is in use.
    """
    with _connect_gauges(outbox, sender, watchdog):
        server = health_server.serve(endpoint, partial(edge_health, outbox, sender, watchdog))
        try:
            yield
        finally:
            if server:
                server.shutdown()
                server.server_close()


@contextmanager
def _connect_gauges(outbox: Outbox, sender: Sender, watchdog: SourceWatchdog | None) -> Iterator[None]:
    """Connect each gauge to the value that it reports when Prometheus reads it, while the context lasts."""
    values = {
        metrics.WAITING: lambda: outbox.backlog()[0],
        metrics.OLDEST: lambda: outbox.backlog()[1],
        metrics.LAST_STORED: lambda: math.nan if outbox.stored_age is None else outbox.stored_age,
        metrics.FULLNESS: lambda: outbox.fullness,
        metrics.REFUSED_PRESENT: lambda: sum(outbox.refused().values()),
        metrics.ELECTED: lambda: sender.state.elected,
        metrics.QUIET: lambda: sender.state.quiet,
        metrics.ASIDE: lambda: sender.state.aside,
        metrics.WINDOW: lambda: sender.state.window,
    }
    for hop in sender.state.hops:
        values[metrics.HOP.labels(hop)] = partial(_hop_state, sender, hop)
    if watchdog:
        values[metrics.FRAME_AGE] = lambda: watchdog.age
    for gauge, value in values.items():
        gauge.set_function(partial(_or_nan, value))
    try:
        yield
    finally:
        for gauge in values:  # a gauge that asks a closed outbox would break every later scrape
            gauge.set_function(lambda: math.nan)


def _or_nan(value: Callable[[], float]) -> float:
    """Return a value, or NaN while the outbox cannot be read: an error would take all metrics of a scrape away."""
    try:
        return value()
    except OutboxError:
        return math.nan


def _hop_state(sender: Sender, name: str) -> float:
    return float(sender.state.hops[name])
