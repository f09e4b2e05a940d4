"""Ready means that work is done."""

import time
from dataclasses import dataclass, field

import pytest

from face_app.edge.health.health import SourceWatchdog, readiness
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
    refusal: str | None = None
    failure: str = ""
    state: SenderState = field(init=False)

    def __post_init__(self):
        way = (self.running, self.elected, self.connected, {}, self.up)
        self.state = SenderState("broker:1883", *way, self.quiet, 16, self.refusal, self.failure)


@pytest.mark.parametrize(
    ("waiting", "sending", "problem"),
    [
        (Waiting(), Sending(), ""),
        (Waiting(3, 10), Sending(up=False), ""),
        (Waiting(3, 10**6, stored_age=5), Sending(), ""),
        (Waiting(stored_age=10**6), Sending(), ""),
        (Waiting(3, 10**6), Sending(running=60, up=False), ""),
        (
            Waiting(3, 301, stored_age=400),
            Sending(quiet=301),
            "3 faces wait, the oldest for 301 s: no receipt came for 301 s, look at the subscriber",
        ),
        (
            Waiting(3, 301),
            Sending(up=False),
            "3 faces wait, the oldest for 301 s: the forwarder does not reach the cloud",
        ),
        (
            Waiting(3, 301),
            Sending(elected=False, connected=False, up=False),
            "3 faces wait, the oldest for 301 s: another process sends for this outbox, look at its log",
        ),
        (
            Waiting(3, 1),
            Sending(connected=False, up=False),
            "3 faces wait, the oldest for 1 s: broker broker:1883 is not reached, check broker.host and broker.port",
        ),
        (
            Waiting(3, 1),
            Sending(connected=False, up=False, refusal="Banned"),
            "3 faces wait, the oldest for 1 s: broker broker:1883 refuses the connection: Banned",
        ),
        (Waiting(1, 1), Sending(failure="no locks"), "1 faces wait, the oldest for 1 s: no locks"),
    ],
)
def test_faces_must_leave(waiting, sending, problem):
    state = readiness(waiting, sending)
    assert (state.ready, state.problem) == (not problem, problem)
    assert state.facts["waiting"] == waiting.waiting
    assert state.facts["frame_age"] is None


def test_frames_must_come():
    pulse = SourceWatchdog(most=0.05)
    assert readiness(Waiting(), Sending(), pulse).ready
    time.sleep(0.1)
    assert readiness(Waiting(), Sending(), pulse).problem.startswith("no frame for")
    pulse.beat()
    assert readiness(Waiting(), Sending(), pulse).ready


def test_a_full_outbox_is_not_blamed_on_the_camera():
    pulse = SourceWatchdog(most=0.05)
    pulse.hold("outbox: full")
    time.sleep(0.1)
    assert readiness(Waiting(), Sending(), pulse).problem == "outbox: full"
    pulse.beat()
    assert readiness(Waiting(), Sending(), pulse).ready


def test_a_cloud_that_is_away_is_no_fault_of_this_machine():
    away = readiness(Waiting(3, 301), Sending(up=False))
    assert (away.ready, away.fault) == (False, "")
    for sending in (Sending(connected=False, up=False), Sending(failure="no locks")):
        broken = readiness(Waiting(3, 301), sending)
        assert broken.fault == broken.problem != ""


def test_a_camera_that_is_off_is_no_fault_of_this_machine_and_an_outbox_that_fills_all_the_same_is():
    pulse = SourceWatchdog(most=0.05)
    time.sleep(0.1)
    off = readiness(Waiting(), Sending(), pulse)
    assert (off.ready, off.fault) == (False, "")
    # Each hides no other.
    assert readiness(Waiting(1, 1), Sending(failure="no locks"), pulse).fault.endswith("no locks")
    pulse.hold("outbox: full")
    assert readiness(Waiting(), Sending(), pulse).fault == "outbox: full"
    assert readiness(Waiting(), Sending(up=False), pulse).fault == "outbox: full"
    pulse.hold("outbox: full", full=True)
    assert readiness(Waiting(), Sending(), pulse).fault == "outbox: full"
    for sending in (Sending(up=False), Sending(elected=False, connected=False, up=False)):
        away = readiness(Waiting(3, 301), sending, pulse)
        assert (away.ready, away.problem, away.fault) == (False, "outbox: full", "")


@pytest.mark.parametrize(
    ("waiting", "sending", "unproven"),
    [
        (Waiting(), Sending(), []),
        (Waiting(), Sending(up=False), ["way"]),
        (Waiting(), Sending(elected=False, connected=False, up=False), []),
        (Waiting(2, stored_age=0.5), Sending(running=1), []),
        (Waiting(2, stored_age=2), Sending(running=1), ["receipts"]),
        (Waiting(2), Sending(running=1, up=False), ["way", "receipts"]),
        (Waiting(2, stored_age=61), Sending(), ["receipts"]),
    ],
)
def test_what_was_not_done_since_the_start_is_not_proven(waiting, sending, unproven):
    assert list(readiness(waiting, sending).unproven) == unproven


def test_a_frame_that_came_proves_nothing_until_it_was_looked_at():
    pulse = SourceWatchdog(most=0.5)
    pulse.beat()
    assert list(readiness(Waiting(), Sending(), pulse).unproven) == ["frames"]
    pulse.look()
    assert readiness(Waiting(), Sending(), pulse).unproven == {}


def test_a_camera_that_went_off_proves_nothing_any_more():
    pulse = SourceWatchdog(most=0.05)
    pulse.look()
    time.sleep(0.1)
    assert list(readiness(Waiting(), Sending(), pulse).unproven) == ["frames"]
