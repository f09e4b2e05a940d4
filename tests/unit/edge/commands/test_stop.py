"""Checks that a signal sets the event, and that the earlier handlers are restored."""

import os
import signal

import pytest

from face_app.edge.commands.stop import stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_the_event(number):
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(90)
        for second in (signal.SIGTERM, signal.SIGINT):
            assert signal.getsignal(second) is signal.SIG_DFL, "a second one, of either, must end the process"
    assert signal.getsignal(number) is before


def test_without_a_signal_the_event_is_not_set():
    with stop_on_signals() as stop:
        pass
    assert not stop.wait(0.1)
