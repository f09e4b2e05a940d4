"""One edge with a valid certificate attacks the cloud's broker, which has the role's configuration.

An honest edge beside it publishes each face once: no resend hides a lost message.
"""

import secrets
import time
from contextlib import ExitStack

import pytest

from support.faces import drawn_face
from support.hostile import HONEST, HOSTILE, cloud_broker, connected, subscribing

SESSIONS = 30
GUESSES = ("face-app", "face_app", "faces", "subscriber", "subscriber-1", "s1", "group", "default")
"""Names of groups that an intruder tries; the first is the program's default."""
FACES = [drawn_face(number, edge=HONEST) for number in range(1, 41)]


@pytest.fixture
def broker(tmp_path):
    with cloud_broker(tmp_path / "broker") as broker:
        yield broker


def wait_until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_edge_that_guesses_the_group_takes_no_face(broker, tmp_path):
    """An intruder of the group would be assigned a share of the faces, which the ACL then denies to it."""
    group = secrets.token_hex(16)
    with (
        ExitStack() as sessions,
        subscribing(broker, tmp_path / "store", group=group) as consumer,
        connected(broker, HONEST, f"receipts/{HONEST}/#", client_id=HONEST) as edge,
    ):
        wait_until(lambda: consumer.connection.subscribed)
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
        wait_until(lambda: consumer.connection.subscribed)
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
        wait_until(lambda: consumer.connection.subscribed)
        intruder.client.publish(f"face_app/{HOSTILE}/front", b"refused", qos=1).wait_for_publish(90)
    assert seen <= {f"receipts/{HOSTILE}/subscriber-1"}
    assert group not in (broker.folder / "log").read_text()
