"""One edge with a valid certificate attacks the cloud's broker, which has the role's configuration.

An honest edge beside it publishes each face once: no resend hides a lost message.
"""

import os
import re
import secrets
import signal
import socket
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

from support.brokers import ROLES
from support.clients import with_certificate
from support.faces import drawn_face
from support.hostile import HONEST, HOSTILE, cloud_broker, connected, subscribing
from support.waiting import until

SESSIONS = 30
GUESSES = ("face-app", "face_app", "faces", "subscriber", "subscriber-1", "s1", "group", "default")
"""Names of groups that an intruder tries; the first is the program's default."""
FACES = [drawn_face(number, edge=HONEST) for number in range(1, 41)]


@pytest.fixture
def broker(tmp_path):
    with cloud_broker(tmp_path / "broker") as broker:
        yield broker


def test_an_edge_that_guesses_the_group_takes_no_face(broker, tmp_path):
    """An intruder of the group would be assigned a share of the faces, which the ACL then denies to it."""
    group = secrets.token_hex(16)
    with (
        ExitStack() as sessions,
        subscribing(broker, tmp_path / "store", group=group) as consumer,
        connected(broker, HONEST, f"receipts/{HONEST}/#", client_id=HONEST) as edge,
    ):
        until(lambda: consumer.links[0].connection.subscribed)
        guesses = [f"$share/{guess}/{topic}" for guess in GUESSES for topic in ("face_app/#", f"face_app/{HONEST}/#")]
        for number in range(SESSIONS):
            sessions.enter_context(connected(broker, HOSTILE, *guesses, client_id=f"intruder-{number}"))
        edge.send(FACES)
        edge.wait_for_receipts(FACES)


def test_a_wildcard_names_no_group(broker, tmp_path):
    group = secrets.token_hex(16)
    with (
        subscribing(broker, tmp_path / "store", group=group) as consumer,
        connected(broker, HONEST, f"receipts/{HONEST}/#", client_id=HONEST) as edge,
        connected(broker, HOSTILE, f"receipts/{HOSTILE}/#", client_id="intruder") as intruder,
    ):
        until(lambda: consumer.links[0].connection.subscribed)
        intruder.client.subscribe("$share/+/face_app/#", 1)
        edge.send(FACES)
        edge.wait_for_receipts(FACES)


def test_no_edge_reads_the_name_of_the_group(broker, tmp_path):
    group = secrets.token_hex(16)
    seen = set()
    with (
        connected(broker, HOSTILE, "#", "$SYS/#", "$share/#", "+/#", client_id="intruder") as intruder,
        subscribing(broker, tmp_path / "store", group=group) as consumer,
    ):
        intruder.client.on_message = lambda _client, _userdata, message: seen.add(message.topic)
        until(lambda: consumer.links[0].connection.subscribed)
        intruder.client.publish(f"face_app/{HOSTILE}/front", b"refused", qos=1).wait_for_publish(90)
    assert seen <= {f"receipts/{HOSTILE}/subscriber-1"}
    assert group not in (broker.folder / "log").read_text()


@contextmanager
def silent_connections(broker, count):
    """Open connections that send nothing; no certificate is needed for them."""
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(("127.0.0.1", broker.port), 90)) for _ in range(count)]


def start_command(folder):
    """How the role starts the broker."""
    role = yaml.safe_load((ROLES / "cloud_broker/vars/main.yml").read_text())["__cloud_broker_command"]
    return tuple(part.replace("{{ __cloud_broker_config }}", str(folder)) for part in role)


def test_a_thousand_silent_connections_do_not_shut_the_port(tmp_path):
    """Docker gives a program 1024 open files, and lets it raise that limit."""
    folder = tmp_path / "broker"
    command = ("sh", "-c", 'ulimit -S -n 1024; exec "$@"', "sh", *start_command(folder))
    with cloud_broker(folder, command=command) as broker, silent_connections(broker, 1200):
        assert with_certificate(broker.port, folder, HONEST).publish(f"face_app/{HONEST}/door").accepted


def test_more_connections_than_allowed_take_no_memory_and_disturb_no_connection(tmp_path):
    with (
        cloud_broker(tmp_path / "broker", memory=8) as broker,
        subscribing(broker, tmp_path / "store", group="secret") as consumer,
        connected(broker, HONEST, f"receipts/{HONEST}/#", client_id=HONEST) as edge,
    ):
        until(lambda: consumer.links[0].connection.subscribed)
        with silent_connections(broker, 100) as opened:
            # The broker closes those that are too many.
            assert opened[-1].recv(1) == b""
            edge.send(FACES)
            edge.wait_for_receipts(FACES)
        until(lambda: with_certificate(broker.port, broker.folder, HONEST).publish(FACES[0].topic).accepted)


def test_a_message_without_bounds_ends_its_own_connection(broker, tmp_path):
    with (
        subscribing(broker, tmp_path / "store", group="secret") as consumer,
        connected(broker, HONEST, f"receipts/{HONEST}/#", client_id=HONEST) as edge,
        connected(broker, HOSTILE, f"receipts/{HOSTILE}/#", client_id="large") as intruder,
    ):
        until(lambda: consumer.links[0].connection.subscribed)
        lost = []
        intruder.client.on_disconnect = lambda *_: lost.append(True)
        intruder.client.publish(f"face_app/{HOSTILE}/front", bytes(40_000_000), qos=1)
        until(lambda: lost)
        edge.send(FACES)
        edge.wait_for_receipts(FACES)


@pytest.mark.parametrize("levels", [1, 180])
def test_a_topic_has_one_level_for_the_camera(broker, levels):
    """Each level of a retained message costs memory."""
    edge = with_certificate(broker.port, broker.folder, HONEST)
    for kind in ("face_app", "status"):
        assert not edge.publish(f"{kind}/{HONEST}/door{'/x' * levels}").accepted
        assert edge.publish(f"{kind}/{HONEST}/door").accepted


def test_a_broker_that_the_kernel_ended_starts_again_at_once(tmp_path):
    """Docker would wait longer after each end, up to a minute."""
    folder = tmp_path / "broker"
    with cloud_broker(folder, command=start_command(folder)) as broker:
        shell = broker.pid
        children = Path(f"/proc/{shell}/task/{shell}/children")
        for _ in range(8):
            (mosquitto,) = map(int, children.read_text().split())
            os.kill(mosquitto, signal.SIGKILL)
            until(lambda ended=mosquitto: children.read_text().split() not in ([str(ended)], []))
            until(lambda: with_certificate(broker.port, folder, HONEST).publish(FACES[0].topic).accepted)
        assert (folder / "log").read_text().count("the kernel killed the broker") == 8
        (mosquitto,) = children.read_text().split()
    assert not Path(f"/proc/{mosquitto}").exists()


def test_messages_that_wait_for_a_subscriber_take_a_part_of_the_memory(tmp_path):
    memory = 128
    with (
        cloud_broker(tmp_path / "broker", memory=memory) as broker,
        connected(broker, HONEST, f"receipts/{HONEST}/#", client_id=HONEST) as edge,
        connected(broker, HOSTILE, f"receipts/{HOSTILE}/#", client_id="flood") as intruder,
    ):
        with subscribing(broker, tmp_path / "store", group="secret") as consumer:
            until(lambda: consumer.links[0].connection.subscribed)
        # The broker retains its session, and queues for it.
        for _ in range(300):
            intruder.client.publish(f"face_app/{HOSTILE}/front", bytes(1_000_000), qos=1).wait_for_publish(90)
        (used,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{broker.pid}/status").read_text())
        assert int(used) < memory * 1024
        with subscribing(broker, tmp_path / "again", group="secret"):
            # As an edge does: of those that found a full queue, no receipt comes.
            for _ in range(20):
                edge.send(FACES)
                if edge.has_receipts(FACES, seconds=2):
                    return
        pytest.fail("the faces of the honest edge were not stored")
