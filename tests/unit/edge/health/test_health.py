"""Ready means that the work gets done; live means that nothing local prevents it."""

import sqlite3
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from prometheus_client import REGISTRY, generate_latest

from face_app.common.health_server import Capability
from face_app.common.settings import EdgeSettings, OutboxFile
from face_app.edge.health.health import SourceWatchdog, edge_health, serve_health_endpoint
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.uplink.sender import Sender
from face_app.edge.uplink.sender_state import SenderState


@dataclass
class Waiting:
    waiting: int = 0
    oldest: float = 0.0
    stored_age: float | None = None
    fullness: float = 0.0
    late_after: float = 300

    def backlog(self):
        return self.waiting, self.oldest


@dataclass
class Sending:
    running: float = 10**6
    elected: bool = True
    connected: bool = True
    up: bool = True
    quiet: float = 0.0
    aside: int = 0
    problem: str = ""
    failure: str = ""
    state: SenderState = field(init=False)

    def __post_init__(self):
        uplink = (self.running, self.elected, self.connected, {"cloud": self.up}, True, self.up)
        self.state = SenderState(
            "broker:1883",
            *uplink,
            self.quiet,
            16,
            self.aside,
            "too large" * self.aside,
            self.problem,
            False,
            self.failure,
        )


@pytest.mark.parametrize(
    ("waiting", "sending", "reason"),
    [
        (Waiting(), Sending(), ""),
        (Waiting(3, 10), Sending(up=False), ""),
        (Waiting(3, 10**6, stored_age=5), Sending(), ""),
        (Waiting(stored_age=10**6), Sending(), ""),
        (Waiting(3, 10**6), Sending(running=60, up=False), ""),
        (Waiting(1, 299, stored_age=5), Sending(aside=1), ""),
        (Waiting(1, 301, stored_age=5), Sending(aside=1), "1 faces wait, the oldest for 301 s: too large"),
        (
            Waiting(3, 301, stored_age=400),
            Sending(quiet=301),
            "3 faces wait, the oldest for 301 s: no receipt came for 301 s, check the subscriber",
        ),
        (
            Waiting(3, 301),
            Sending(up=False),
            "3 faces wait, the oldest for 301 s: the forwarder does not reach the cloud, "
            "its log names the cause: docker logs forwarder",
        ),
        (
            Waiting(3, 301),
            Sending(elected=False, connected=False, up=False),
            "3 faces wait, the oldest for 301 s: another process sends for this outbox, check its log",
        ),
        (
            Waiting(3, 1),
            Sending(connected=False, up=False, problem="broker b:1 is not reached"),
            "3 faces wait, the oldest for 1 s: broker b:1 is not reached",
        ),
        (
            Waiting(),
            Sending(connected=False, up=False, problem="broker b:1 is not reached"),
            "broker b:1 is not reached",
        ),
        (Waiting(1, 1), Sending(failure="no locks"), "1 faces wait, the oldest for 1 s: no locks"),
    ],
)
def test_faces_must_leave(waiting, sending, reason):
    state = edge_health(waiting, sending)
    assert (state.ready, state.reason) == (not reason, reason)
    assert state.facts["waiting"] == waiting.waiting
    assert state.facts["frame_age"] is None


@pytest.fixture
def clock(monkeypatch):
    """Return the clock of the watchdog; `clock.seconds` stands until a test advances it."""
    clock = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr("face_app.edge.health.health.time", SimpleNamespace(monotonic=lambda: clock.seconds))
    return clock


def test_frames_must_arrive(clock):
    watchdog = SourceWatchdog(limit=10)
    assert edge_health(Waiting(), Sending(), watchdog).ready
    clock.seconds += 11
    assert edge_health(Waiting(), Sending(), watchdog).reason.startswith("no frame for")
    watchdog.frame_received()
    assert edge_health(Waiting(), Sending(), watchdog).ready


def test_pictures_must_change():
    watchdog = SourceWatchdog(limit=10)
    watchdog.frame_received()
    watchdog.frame_processed()
    watchdog.unchanged = 61.0
    frozen = edge_health(Waiting(), Sending(), watchdog)
    assert (frozen.live, frozen.ready) == (True, False)
    assert frozen.reason == "the picture has not changed for 61 s: check the camera"
    assert Capability.FRAMES not in frozen.capabilities
    watchdog.unchanged = 0.0
    assert edge_health(Waiting(), Sending(), watchdog).ready


def test_a_full_outbox_is_not_blamed_on_the_camera(clock):
    watchdog = SourceWatchdog(limit=10)
    watchdog.block("outbox: full")
    clock.seconds += 11
    assert edge_health(Waiting(), Sending(), watchdog).reason == "outbox: full"
    watchdog.frame_received()
    assert edge_health(Waiting(), Sending(), watchdog).ready


def test_stays_live_while_the_cloud_is_down():
    down = edge_health(Waiting(3, 301), Sending(up=False))
    assert (down.live, down.ready) == (True, False)
    for sending in (Sending(connected=False, up=False), Sending(failure="no locks")):
        broken = edge_health(Waiting(3, 301), sending)
        assert (broken.live, broken.ready) == (False, False)
        assert broken.reason


def test_stays_live_while_the_camera_is_off_but_not_with_a_local_fault(clock):
    watchdog = SourceWatchdog(limit=10)
    clock.seconds += 11
    off = edge_health(Waiting(), Sending(), watchdog)
    assert (off.live, off.ready) == (True, False)
    # The camera hides no local fault.
    assert edge_health(Waiting(1, 1), Sending(failure="no locks"), watchdog).reason.endswith("no locks")
    watchdog.block("outbox: full")
    for sending in (Sending(), Sending(up=False)):
        blocked = edge_health(Waiting(), sending, watchdog)
        assert (blocked.live, blocked.reason) == (False, "outbox: full")
    watchdog.block("outbox: full", outbox_full=True)
    full = edge_health(Waiting(), Sending(), watchdog)
    assert (full.live, full.reason) == (False, "outbox: full")
    for sending in (Sending(up=False), Sending(elected=False, connected=False, up=False)):
        down = edge_health(Waiting(3, 301), sending, watchdog)
        assert (down.live, down.ready, down.reason) == (True, False, "outbox: full")


@pytest.mark.parametrize(
    ("waiting", "sending", "capabilities"),
    [
        (Waiting(), Sending(), {"uplink", "receipts"}),
        (Waiting(), Sending(up=False), {"receipts"}),
        (Waiting(), Sending(elected=False, connected=False, up=False), {"uplink", "receipts"}),
        (Waiting(2), Sending(elected=False, connected=False, up=False), {"uplink", "receipts"}),
        (Waiting(), Sending(elected=False, connected=False, up=False, running=0.1), {"receipts"}),
        (Waiting(2), Sending(elected=False, connected=False, up=False, running=0.1), set()),
        (Waiting(), Sending(elected=False, connected=False, up=False, failure="no locks"), {"receipts"}),
        (Waiting(2, stored_age=0.5), Sending(running=1), {"uplink", "receipts"}),
        (Waiting(2, stored_age=2), Sending(running=1), {"uplink"}),
        (Waiting(2), Sending(running=1, up=False), set()),
        (Waiting(2, stored_age=61), Sending(), {"uplink"}),
    ],
)
def test_reports_the_work_that_was_observed(waiting, sending, capabilities):
    assert {capability.value for capability in edge_health(waiting, sending).capabilities} == capabilities


def test_a_frame_counts_once_it_was_processed():
    watchdog = SourceWatchdog(limit=90)
    watchdog.frame_received()
    assert Capability.FRAMES not in edge_health(Waiting(), Sending(), watchdog).capabilities
    watchdog.frame_processed()
    assert Capability.FRAMES in edge_health(Waiting(), Sending(), watchdog).capabilities


def test_a_camera_that_went_off_has_no_frames(clock):
    watchdog = SourceWatchdog(limit=10)
    watchdog.frame_processed()
    clock.seconds += 11
    assert Capability.FRAMES not in edge_health(Waiting(), Sending(), watchdog).capabilities


def test_a_full_outbox_proves_that_frames_were_read(clock):
    """Otherwise a version that starts with a full outbox would be rolled back, though the one before fails too."""
    watchdog = SourceWatchdog(limit=10)
    watchdog.frame_received()
    watchdog.block("outbox: full", outbox_full=True)
    clock.seconds += 11
    assert Capability.FRAMES in edge_health(Waiting(), Sending(), watchdog).capabilities
    watchdog.block("outbox: no such file")
    assert Capability.FRAMES not in edge_health(Waiting(), Sending(), watchdog).capabilities


def test_metrics_can_be_read_after_the_outbox_is_closed(tmp_path):
    settings = EdgeSettings(edge="jetson", outbox=OutboxFile(path=tmp_path / "outbox.db"))
    with (
        Outbox(settings.outbox) as outbox,
        serve_health_endpoint(settings.metrics, outbox, Sender(settings, outbox), SourceWatchdog(10)),
    ):
        assert b"face_app_outbox_waiting 0.0" in generate_latest(REGISTRY)
    assert b"face_app_outbox_waiting NaN" in generate_latest(REGISTRY)


def test_metrics_can_be_read_while_the_outbox_cannot(tmp_path):
    settings = EdgeSettings(edge="jetson", outbox=OutboxFile(path=tmp_path / "outbox.db"))
    with Outbox(settings.outbox) as outbox, sqlite3.connect(settings.outbox.path) as other:
        with serve_health_endpoint(settings.metrics, outbox, Sender(settings, outbox), SourceWatchdog(10)):
            other.execute("ALTER TABLE faces RENAME TO other")
            other.commit()
            scrape = generate_latest(REGISTRY)
            other.execute("ALTER TABLE other RENAME TO faces")
        other.commit()
    other.close()
    assert b"face_app_outbox_waiting NaN" in scrape
    assert b"face_app_sender_elected 0.0" in scrape
