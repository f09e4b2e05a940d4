"""Asking a program how it is: an answer, or the reason why there is none."""

import socket
import threading

import pytest

from face_app.common.errors import SettingsError
from face_app.common.health_server import Health, ask, serve
from face_app.common.settings import Metrics
from services.ports import free_port


@pytest.mark.parametrize(
    "state",
    [
        Health(True, {"faces": 3}),
        Health(False, {}, "the disk is full"),
        Health(True, {}, unproven={"frames": "none came"}),
    ],
)
def test_an_answer_is_what_the_program_says(state):
    settings = Metrics(port=free_port())
    server = serve(settings, lambda: state)
    try:
        assert ask(settings) == state
    finally:
        server.shutdown()
        server.server_close()


def test_nobody_listens():
    port = free_port()
    state = ask(Metrics(port=port))
    assert not state.ready
    assert state.problem.startswith(f"no answer on 127.0.0.1:{port}: ")
    assert "refused" in state.problem


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nnot json",
        b"HTTP/1.0 200 OK\r\n\r\n[]",
        b'HTTP/1.0 200 OK\r\n\r\n{"other": 1}',
    ],
)
def test_another_program_listens(answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def reply():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        replying = threading.Thread(target=reply)
        replying.start()
        state = ask(Metrics(port=listener.getsockname()[1]))
        replying.join(5)
    assert (state.ready, state.facts) == (False, {})
    assert state.problem.startswith("no answer on 127.0.0.1:")


def test_a_program_that_hangs():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        state = ask(Metrics(port=listener.getsockname()[1]), timeout=0.3)
    assert (state.ready, "timed out" in state.problem) == (False, True)


def test_no_port_is_a_wrong_setting():
    with pytest.raises(SettingsError, match=r"metrics\.port: not set"):
        ask(Metrics())
    assert serve(Metrics(), lambda: Health(True, {})) is None
