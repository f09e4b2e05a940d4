"""The newest cause of a failure counts, and each new one is logged once."""

import logging
import threading

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from face_app.common.mqtt import failures
from face_app.common.mqtt.failures import Failures
from face_app.common.settings import Broker
from support.waiting import until

REFUSED = ReasonCode(PacketTypes.CONNACK, "Not authorized")
CLOSED = ReasonCode(PacketTypes.DISCONNECT, "Unspecified error")


@pytest.fixture
def probe(monkeypatch):
    """A probe that waits for the event before it answers."""
    answer = threading.Event()

    def diagnose(*_):
        assert answer.wait(30)
        return "it closes the connection"

    monkeypatch.setattr(failures, "diagnose", diagnose)
    return answer


def finish(probe):
    probe.set()
    until(lambda: not any(thread.name == "probe" for thread in threading.enumerate()))


def closed_attempt():
    found = Failures(Broker(host="127.0.0.1", port=1), None, logging.WARNING)
    found.attempt_begins()
    found.attempt_ended(CLOSED)
    return found


def test_a_probe_names_the_cause_also_during_the_next_attempt(probe):
    found = closed_attempt()
    found.attempt_begins()
    found.attempt_ended(CLOSED)
    finish(probe)
    assert found.cause == "is not reached: it closes the connection"


def test_a_late_probe_does_not_replace_a_refusal(probe):
    found = closed_attempt()
    found.attempt_begins()
    found.refused(REFUSED)
    finish(probe)
    assert found.cause.startswith("refuses the connection: Not authorized")


def test_a_late_probe_does_not_replace_a_newer_cause(probe):
    found = closed_attempt()
    found.attempt_begins()
    found.not_reached(ConnectionRefusedError(111, "Connection refused"))
    finish(probe)
    assert found.cause.startswith("is not reached: nothing listens there")


def test_a_late_probe_says_nothing_about_a_connection(probe, caplog):
    found = closed_attempt()
    found.attempt_begins()
    found.connected()
    finish(probe)
    assert (found.cause, caplog.text) == ("is not connected", "")


def test_a_cause_is_logged_once_until_it_changes(caplog):
    found = Failures(Broker(host="127.0.0.1", port=1), None, logging.WARNING)
    for _ in range(3):
        found.attempt_begins()
        found.refused(REFUSED)
    found.connected()
    found.refused(REFUSED)
    assert caplog.text.count("broker 127.0.0.1:1 refuses the connection: Not authorized") == 2
