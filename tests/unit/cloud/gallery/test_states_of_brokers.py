"""States of one camera from several brokers: the newest is shown."""

import json
from datetime import datetime, timedelta, timezone

import pytest

from face_app.cloud.gallery import edge_states
from face_app.cloud.gallery.edge_states import EdgeStates

NOW = datetime.now(timezone.utc)


def document(sequence, seconds, *, opening="0badcafe", state="online"):
    at = (NOW + timedelta(seconds=seconds)).isoformat()
    outbox = {"id": "deadbeef", "opening": opening, "first": 1, "sequence": sequence}
    return {"state": state, "at": at, "outbox": outbox}


@pytest.fixture
def states():
    return EdgeStates()


def receive(states, broker, document, *, retained=False):
    return states.received("status/jetson/door", json.dumps(document).encode(), retained=retained, broker=broker)


def known(states):
    (state,) = states.states()
    return state.document


@pytest.mark.parametrize("retained", [True, False])
def test_what_another_broker_still_has_does_not_replace_a_newer_state(states, retained):
    newest = document(9, 0)
    assert receive(states, "b", newest)
    assert not receive(states, "a", document(8, 0), retained=retained), "a lower number"
    assert not receive(states, "a", document(8, 3600), retained=retained), "a lower number, a wrong clock"
    assert not receive(states, "a", document(9, -5), retained=retained), "an equal number, older"
    assert not receive(states, "a", document(500, -5, opening="feedf00d"), retained=retained), "another opening, older"
    assert known(states) == newest


@pytest.mark.parametrize("retained", [True, False])
def test_a_newer_state_from_another_broker_replaces_the_known_one(states, retained):
    receive(states, "a", document(9, 0))
    for newer in (document(10, -3600), document(10, -3599), document(1, 5, opening="feedf00d")):
        assert receive(states, "b", newer, retained=retained)
        assert known(states) == newer
        receive(states, "a", newer)


def test_news_of_one_broker_are_in_order_whatever_the_clock_says(states):
    receive(states, "a", document(9, 0))
    assert receive(states, "a", document(9, -3600))
    assert receive(states, "a", document(1, -7200))


def test_a_will_counts_when_it_is_published_not_when_it_is_retained(states):
    receive(states, "b", document(9, 0))
    assert not receive(states, "a", {"state": "offline"}, retained=True)
    assert receive(states, "a", {"state": "offline"})
    assert receive(states, "b", document(9, 1))
    assert known(states)["state"] == "online"


def test_a_clock_that_was_set_back_during_a_change_of_broker_does_not_silence_a_camera(states, monkeypatch):
    receive(states, "a", document(9, 0))
    back = document(9, -3600)
    assert not receive(states, "b", back)
    monkeypatch.setattr(edge_states, "SILENT_SECONDS", -1.0)
    assert receive(states, "b", back)
