"""Checks `face-app capture` with pictures that another program publishes, as Frigate does, on a real broker."""

import json
import signal
from contextlib import contextmanager
from dataclasses import replace

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from face_app.common.settings import OutboxFile
from face_app.edge.outbox.outbox import Outbox
from support.clients import Client
from support.faces import picture
from support.mosquitto import OPEN, mosquitto
from support.new_faces import new_face
from support.ports import free_port
from support.waiting import until

PERSISTENT = (*OPEN, "persistence true", "autosave_interval 1", "autosave_on_changes true")


@contextmanager
def camera_system(port):
    """Publishes pictures as Frigate does: retained, and here at QoS 1."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    client.connect("127.0.0.1", port)
    client.loop_start()

    def publish(size, camera="front", *, kind="JPEG", payload=None, qos=1):
        data = picture(kind, size) if payload is None else payload
        client.publish(f"frigate/{camera}/person/snapshot", data, qos=qos, retain=True).wait_for_publish(60)
        return data

    try:
        yield publish
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.fixture
def nvr(tmp_path):
    folder = tmp_path / "nvr"
    folder.mkdir()
    with mosquitto(PERSISTENT, folder=folder) as running:
        yield running


@pytest.fixture
def receiver(face_app, broker):
    """Starts the program; it is ready for pictures when the function returns."""

    def start(nvr, *options):
        port = free_port()
        program = face_app(
            *("capture", "--source", f"mqtt://127.0.0.1:{nvr.port}/frigate/{{camera}}/person/snapshot"),
            *("--broker", f"127.0.0.1:{broker.port}", "--metrics-port", port, "--json", *options),
        )
        until(lambda: "Sending SUBACK" in nvr.log.read_text())
        return program

    return start


def pictures_of(cloud):
    """The published bytes of each face that arrived, without copies."""
    return {face.id: strip(face.payload) for face in cloud.arrivals}


def strip(payload):
    if payload.startswith(b"\xff\xd8"):
        return payload[:2] + payload[4 + int.from_bytes(payload[4:6], "big") :]
    length = int.from_bytes(payload[33:37], "big")
    return payload[:33] + payload[33 + 12 + length :]


def test_each_picture_becomes_one_face(nvr, receiver, cloud):
    program = receiver(nvr, "--stop-after", 3)
    with camera_system(nvr.port) as publish:
        sent = [publish(60), publish(64, "yard"), publish(50, kind="PNG")]
    out, err = program.communicate(timeout=90)
    assert program.returncode == 0, err
    summary = json.loads(out.splitlines()[-1])
    assert (summary["captured"], summary["stored"], summary["waiting"]) == (3, 3, 0)
    assert sorted(pictures_of(cloud).values()) == sorted(sent)
    metadata = [face.metadata for face in cloud.wait_for(3)]
    assert {each.camera for each in metadata} == {"front", "yard"}
    assert {each.why for each in metadata} == {"received"}
    assert {each.detector for each in metadata} == {
        "mqtt frigate/front/person/snapshot",
        "mqtt frigate/yard/person/snapshot",
    }
    assert len({each.visit for each in metadata}) == 3


def test_what_is_no_picture_is_refused_and_delays_nothing(nvr, receiver, cloud):
    program = receiver(nvr, "--stop-after", 1)
    with camera_system(nvr.port) as publish:
        publish(0, payload=b"offline")
        publish(0, payload=b"")
        publish(0, payload=picture()[:-100])
        publish(0, payload=picture() + bytes(5_000_000))
        publish(60, "front door")
        sent = publish(60)
    _, err = program.communicate(timeout=90)
    assert program.returncode == 0, err
    assert list(pictures_of(cloud).values()) == [sent]
    assert err.count("is refused") == 5


def test_nothing_is_lost_or_doubled_when_the_program_and_the_broker_are_killed(tmp_path, receiver, cloud, path):
    folder, port = tmp_path / "nvr", free_port()
    folder.mkdir()
    sent = []
    with mosquitto(PERSISTENT, folder=folder, port=port) as nvr:
        program = receiver(nvr)
        with camera_system(port) as publish:
            sent += [publish(size) for size in range(40, 50)]
            program.send_signal(signal.SIGKILL)
            program.wait(60)
            sent += [publish(size) for size in range(50, 60)]  # the broker queues them
    (folder / "mosquitto.log").unlink()
    with mosquitto(PERSISTENT, folder=folder, port=port) as nvr:
        program = receiver(nvr)
        with camera_system(port) as publish:
            sent += [publish(size) for size in range(60, 65)]
        until(lambda: len(pictures_of(cloud)) >= len(sent))
        program.send_signal(signal.SIGTERM)
        _, err = program.communicate(timeout=60)
    assert program.returncode == 0, err
    assert sorted(pictures_of(cloud).values()) == sorted(sent)
    with Outbox(OutboxFile(path=path)) as outbox:
        assert outbox.backlog()[0] == 0


def test_a_message_that_is_delivered_twice_is_one_face(path):
    first = replace(new_face(), origin="a" * 64)
    with Outbox(OutboxFile(path=path)) as outbox:
        assert len(outbox.append([first, replace(new_face(), origin="b" * 64)])) == 2
    with Outbox(OutboxFile(path=path)) as outbox:
        assert outbox.append([first]) == []
        assert [face.id.sequence for face in outbox.append([first, new_face()])] == [3]


def test_retained_pictures_of_before_are_not_faces(nvr, receiver, cloud):
    with camera_system(nvr.port) as publish:
        publish(60)
        program = receiver(nvr, "--stop-after", 1)
        sent = publish(61)
    program.communicate(timeout=90)
    assert list(pictures_of(cloud).values()) == [sent]


def test_a_broker_that_is_away_is_named(face_app, broker):
    port = free_port()
    program = face_app(
        *("capture", "--source", f"mqtt://127.0.0.1:{port}/x", "--broker", f"127.0.0.1:{broker.port}"),
    )
    line = next(line for line in program.stderr if f"127.0.0.1:{port}" in line)
    assert "nothing listens there" in line
    program.send_signal(signal.SIGTERM)
    assert program.wait(60) == 0


def test_wrong_password_ends_the_program(face_app, broker, tmp_path):
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    with mosquitto(["allow_anonymous false", f"password_file {passwords}"]) as nvr:
        assert not Client(nvr.port).publish("x", "y").accepted
        program = face_app(
            *("capture", "--source", f"mqtt://127.0.0.1:{nvr.port}/x", "--broker", f"127.0.0.1:{broker.port}")
        )
        _, err = program.communicate(timeout=60)
    assert program.returncode not in (0, None)
    assert "refuses the connection" in err
