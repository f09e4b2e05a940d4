"""Ready means that work is done."""

import time
from dataclasses import dataclass, field

import pytest

from face_app.edge.readiness import STUCK_SECONDS, Pulse, readiness
from face_app.edge.sender_state import SenderState


@dataclass
class Waiting:
    waiting: int = 0
    oldest: float = 0.0

    def backlog(self):
        return self.waiting, self.oldest


@dataclass
class Sending:
    elected: bool = True
    connected: bool = True
    up: bool = True
    quiet: float = 0.0
    refusal: str | None = None
    state: SenderState = field(init=False)

    def __post_init__(self):
        self.state = SenderState("broker:1883", self.elected, self.connected, self.up, self.quiet, self.refusal)


STUCK = STUCK_SECONDS + 1


@pytest.mark.parametrize(
    ("waiting", "sending", "problem"),
    [
        (Waiting(), Sending(), ""),
        (Waiting(3, 10), Sending(quiet=STUCK), ""),
        (Waiting(3, 10**6), Sending(quiet=5), ""),
        (Waiting(3, 10**6), Sending(up=False), ""),
        (Waiting(3, 10**6), Sending(elected=False, connected=False, up=False), ""),
        (Waiting(), Sending(quiet=STUCK), ""),
        (Waiting(3, STUCK), Sending(quiet=STUCK), "3 faces wait: no receipt came for 301 s, look at the subscriber"),
        (
            Waiting(3, 1),
            Sending(connected=False, up=False),
            "3 faces wait: broker broker:1883 is not reached, check broker.host and broker.port",
        ),
        (
            Waiting(3, 1),
            Sending(connected=False, up=False, refusal="Banned"),
            "3 faces wait: broker broker:1883 refuses us: Banned",
        ),
    ],
)
def test_faces_must_leave(waiting, sending, problem):
    state = readiness(waiting, sending)
    assert (state.ready, state.problem) == (not problem, problem)
    assert state.facts["waiting"] == waiting.waiting
    assert state.facts["frame_age"] is None


def test_frames_must_come():
    pulse = Pulse(most=0.05)
    assert readiness(Waiting(), Sending(), pulse).ready
    time.sleep(0.1)
    assert readiness(Waiting(), Sending(), pulse).problem.startswith("no frame for")
    pulse.beat()
    assert readiness(Waiting(), Sending(), pulse).ready
