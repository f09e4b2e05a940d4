"""Checks that `face-app send` empties an outbox, or reports why it cannot."""

import signal

import pytest

from face_app.common.settings import OutboxFile
from face_app.edge.outbox.outbox import Outbox
from support.mosquitto import mosquitto
from support.new_faces import new_face
from support.ports import free_port


def add(path, count):
    with Outbox(OutboxFile(path=path)) as outbox:
        outbox.append([new_face() for _ in range(count)])


def test_an_empty_outbox_ends_at_once(face_app, broker):
    program = face_app("send", "--until-empty", "--broker", f"127.0.0.1:{broker.port}")
    _, err = program.communicate(timeout=90)
    assert program.returncode == 0
    assert "no face waits" in err


def test_sends_faces_that_another_process_appends(face_app, broker, cloud, path):
    program = face_app("send", "--broker", f"127.0.0.1:{broker.port}")
    add(path, 3)
    cloud.wait_for(3)
    program.terminate()
    _, err = program.communicate(timeout=90)
    assert program.returncode == 0, err
    assert "WARNING" not in err


def test_reports_a_broker_that_refuses_the_connection(face_app, path):
    add(path, 1)
    with mosquitto(["allow_anonymous false"]) as broker:
        program = face_app("send", "--until-empty", "--broker", f"127.0.0.1:{broker.port}")
        _, err = program.communicate(timeout=90)
    assert program.returncode == 5
    refusal = f"broker 127.0.0.1:{broker.port} refuses the connection: Not authorized; set broker.username"
    assert refusal in err
    assert f"; the faces wait in {path}" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_outbox_is_empty_is_a_failure(face_app, path, number):
    add(path, 3)
    program = face_app("send", "--until-empty", "--broker", f"127.0.0.1:{free_port()}")
    assert "nothing listens there; check broker.host" in program.stderr.readline()
    assert "3 faces wait" in program.stderr.readline()
    program.send_signal(number)
    _, err = program.communicate(timeout=90)
    assert program.returncode == 7
    assert f"face-app: stopped while 3 faces wait in {path}: broker 127.0.0.1" in err


def test_a_signal_ends_the_service_with_success_while_faces_wait(face_app, path, broker):
    add(path, 3)
    program = face_app("send", "--broker", f"127.0.0.1:{broker.port}")
    assert program.stderr.readline()
    program.terminate()
    _, err = program.communicate(timeout=90)
    assert program.returncode == 0, err
