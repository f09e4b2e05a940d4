"""Fetch the health of a program: an answer, or the reason why there is none."""

import json
import socket
import threading
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest

from face_app.common.errors import OutboxError, SettingsError
from face_app.common.health_server import Capability, Health, fetch_health, serve
from face_app.common.settings import Metrics
from support.ports import free_port


@contextmanager
def serving(state):
    settings = Metrics(port=free_port())
    server = serve(settings, lambda: state)
    try:
        yield settings
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "state",
    [
        Health(True, True, "", frozenset(), {"faces": 3}),
        Health(True, False, "the cloud is down", frozenset({Capability.FRAMES, Capability.RECEIPTS}), {"age": None}),
        Health(False, False, "the disk is full", frozenset(), {}),
    ],
)
def test_fetches_the_health_that_the_program_serves(state):
    with serving(state) as settings:
        assert fetch_health(settings) == state


def test_a_health_that_cannot_be_determined_has_a_reason():
    def health():
        raise OutboxError("outbox: it is damaged")

    settings = Metrics(port=free_port())
    server = serve(settings, health)
    try:
        assert fetch_health(settings) == Health.failed("outbox: it is damaged")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("live", "ready"), [(True, True), (True, False), (False, False)])
def test_the_status_code_says_whether_it_is_live_or_ready(live, ready):
    state = Health(live, ready, "why", frozenset({Capability.UPLINK, Capability.FRAMES}), {"waiting": 3})
    with serving(state) as settings:
        for path, passed in (("/live", live), ("/ready", ready)):
            connection = HTTPConnection(settings.host, settings.port, timeout=5)
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == (200 if passed else 503)
            assert json.loads(response.read()) == {
                "live": live,
                "ready": ready,
                "reason": "why",
                "capabilities": ["frames", "uplink"],
                "facts": {"waiting": 3},
            }


def test_a_closed_port_is_neither_live_nor_ready():
    port = free_port()
    state = fetch_health(Metrics(port=port))
    assert (state.live, state.ready) == (False, False)
    assert state.reason.startswith(f"no answer on 127.0.0.1:{port}: ")
    assert "refused" in state.reason


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nnot json",
        b"HTTP/1.0 200 OK\r\n\r\n[]",
        b'HTTP/1.0 200 OK\r\n\r\n{"other": 1}',
        b'HTTP/1.0 200 OK\r\n\r\n{"live": 1, "ready": 1, "reason": "", "capabilities": ["magic"], "facts": {}}',
    ],
)
def test_another_program_gives_no_health(answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def reply():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        replying = threading.Thread(target=reply)
        replying.start()
        state = fetch_health(Metrics(port=listener.getsockname()[1]))
        replying.join(90)
    assert (state.ready, state.facts) == (False, {})
    assert state.reason.startswith("no answer on 127.0.0.1:")


def test_a_program_that_hangs_gives_no_health():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        state = fetch_health(Metrics(port=listener.getsockname()[1]), timeout=0.3)
    assert (state.ready, "timed out" in state.reason) == (False, True)


def test_no_port_is_a_wrong_setting():
    with pytest.raises(SettingsError, match=r"metrics\.port: not set"):
        fetch_health(Metrics())
    assert serve(Metrics(), lambda: Health.failed("")) is None
