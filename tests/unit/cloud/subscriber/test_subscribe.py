"""The program as it is run: killed, stopped, refused, and asked how it is."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from urllib.request import urlopen

import pytest

from face_app.common.health_server import fetch_health
from face_app.common.settings import Metrics
from support.edge import edge as connected_edge
from support.faces import drawn_face
from support.mosquitto import mosquitto
from support.ports import free_port


@pytest.fixture
def broker():
    with mosquitto(["allow_anonymous true", "max_queued_messages 0"]) as broker:
        yield broker


@pytest.fixture
def program(tmp_path):
    """Start `face-app subscribe`; its log is in `program.log`."""
    log = tmp_path / "program.log"
    (tmp_path / "store").mkdir()

    @contextmanager
    def start(port, *, metrics=None, store=None):
        config = tmp_path / "config.toml"
        store = store or f'kind = "directory"\npath = "{tmp_path / "store"}"'
        config.write_text(
            f'subscriber = "s1"\n[store]\n{store}\n[broker]\nhost = "127.0.0.1"\nport = {port}\n'
            + (f"[metrics]\nport = {metrics}\n" if metrics else "")
        )
        environment = {**os.environ, "PYTHONPATH": ":".join(filter(None, sys.path))}
        with log.open("ab") as output:
            running = subprocess.Popen(
                [sys.executable, "-m", "face_app", "subscribe", "--config", config], env=environment, stderr=output
            )
        try:
            yield running
        finally:
            running.kill()
            running.wait()

    start.log = log
    start.store = tmp_path / "store"
    return start


def objects_in(path):
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and ".incoming" not in file.parts
    }


def subscribed(broker):
    return "Sending SUBACK to subscriber-s1" in broker.log.read_text()


def wait_until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_killed_while_storing_and_started_again_has_exactly_the_faces(broker, program):
    faces = [drawn_face(number) for number in range(1, 301)]
    with connected_edge(broker) as edge:
        with program(broker.port) as first:
            wait_until(lambda: subscribed(broker))
            edge.send(faces[0])
            edge.wait_for_receipts(1)
            sending = threading.Thread(target=edge.send, args=faces[1:])
            sending.start()
            wait_until(lambda: len(objects_in(program.store)) > 20)
            first.send_signal(signal.SIGKILL)
            first.wait()
            sending.join()
        assert len(objects_in(program.store)) < len(faces)
        with program(broker.port) as second:
            edge.wait_for_receipts(len(edge.receipts) + 20)
            second.send_signal(signal.SIGKILL)
            second.wait()
        with program(broker.port):
            edge.resend_until_answered(*faces)
    assert objects_in(program.store) == {face.key: face.payload for face in faces}


def test_ends_cleanly_and_stores_later_messages_after_a_restart(broker, program):
    with connected_edge(broker) as edge:
        for number, end in enumerate((signal.SIGTERM, signal.SIGINT), 1):
            with program(broker.port) as running:
                wait_until(lambda: subscribed(broker))
                edge.send(drawn_face(2 * number - 1))
                edge.wait_for_faces(2 * number - 1)
                running.send_signal(end)
                assert running.wait(90) == 0
            edge.send(drawn_face(2 * number))
        with program(broker.port):
            edge.wait_for_faces(4)
    assert "Traceback" not in program.log.read_text()


def test_serves_its_health_with_the_reason(broker, program):
    port = free_port()
    store = 'kind = "mount"\npath = "/nowhere/mounted"\ncredentials_file = "{}"\nendpoint = "http://127.0.0.1:1"'
    credentials = program.log.with_name("credentials")
    credentials.write_text("key:secret\n")
    with program(broker.port, metrics=port, store=store.format(credentials)):
        wait_until(lambda: "/nowhere/mounted" in fetch_health(Metrics(port=port)).reason)
    with program(broker.port, metrics=port), connected_edge(broker) as edge:
        wait_until(lambda: fetch_health(Metrics(port=port)).ready and subscribed(broker))
        edge.send(drawn_face())
        edge.wait_for_receipts(1)
        state = fetch_health(Metrics(port=port))
        assert state.facts["stored"] == 1
        assert state.facts["last_stored_age"] < 5
        page = urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    assert "face_app_subscriber_stored_total 1.0" in page
    assert "face_app_subscriber_store_seconds_count 1.0" in page
    for name, value in {"connected": 1, "subscribed": 1, "receipts_in_flight": 0, "receipts_refused_total": 0}.items():
        assert f"face_app_subscriber_{name} {value:.1f}" in page
    for name in ("copies_total", "repaired_total", "refused_total", "last_stored_age_seconds"):
        assert f"face_app_subscriber_{name}" in page


def test_a_broker_that_is_not_up_yet_is_waited_for(program):
    port = free_port()
    with program(port):
        wait_until(lambda: f"broker 127.0.0.1:{port} is not reached: nothing listens there" in program.log.read_text())
        with mosquitto(port=port) as broker, connected_edge(broker) as edge:
            wait_until(lambda: subscribed(broker), 35)
            edge.send(drawn_face())
            edge.wait_for_receipts(1)


def test_a_broker_that_does_not_know_us_ends_it_with_one_line(program):
    with mosquitto(["allow_anonymous false"]) as broker, program(broker.port) as running:
        assert running.wait(90) == 5
    assert (
        program.log.read_text()
        .splitlines()[-1]
        .startswith(f"face-app: broker 127.0.0.1:{broker.port} refuses the connection: Not authorized")
    )


def test_a_taken_metrics_port_is_one_line(broker, program):
    with program(broker.port, metrics=broker.port) as running:
        assert running.wait(90) == 2
    assert program.log.read_text().startswith(f"face-app: metrics.port = {broker.port}")
