"""Access rules of the edge broker, with the role's configuration and Mosquitto's clients.

A refusal proves something only beside a client that gets through, so each test has one.
"""

import time
from collections.abc import Iterator

import pytest

from support.brokers import Broker, configure_edge_broker
from support.clients import Client, with_password
from support.mosquitto import OPEN, mosquitto
from support.ports import free_port

EDGE, PASSWORD = "jetson", "only-for-tests"
CONFIG = "homeassistant/device/face_app-jetson/front/config"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    made = Broker("edge", tmp_path_factory.mktemp("edge"), free_port())
    configure_edge_broker(made, EDGE, PASSWORD, home_assistant=PASSWORD)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Without Home Assistant, as by default."""
    made = Broker("plain", tmp_path_factory.mktemp("plain"), free_port())
    configure_edge_broker(made, EDGE, PASSWORD)
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize(
    "identity",
    [
        (),
        ("-u", "face_app"),
        ("-u", "face_app", "-P", ""),
        ("-u", "face_app", "-P", "wrong"),
        ("-u", "unknown", "-P", PASSWORD),
        ("-u", "", "-P", PASSWORD),
        ("-u", "home_assistant"),
        ("-u", "home_assistant", "-P", ""),
    ],
    ids=[
        *("anonymous", "no password", "empty password", "wrong password", "unknown name", "no name"),
        *("Home Assistant without a password", "Home Assistant with an empty one"),
    ],
)
def test_refuses_clients_without_a_name_and_its_password(broker, identity):
    assert not Client(broker.port, identity).publish("face_app/jetson/front").accepted
    assert with_password(broker.port, "face_app", PASSWORD).publish("face_app/jetson/front").accepted


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("face_app", "face_app/jetson/front"),
        ("face_app", "status/jetson/front"),
        ("face_app", CONFIG),
        ("forwarder", "receipts/jetson/subscriber-1"),
        ("forwarder", "link/jetson/cloud"),
        ("home_assistant", "homeassistant/status"),
    ],
)
def test_accepts_allowed_topics(broker, name, topic):
    outcome = with_password(broker.port, name, PASSWORD).publish(topic)
    assert outcome.accepted, outcome.output


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("face_app", "face_app/other/front"),
        ("face_app", "face_app/test"),
        ("face_app", "status/other/front"),
        # A receipt makes the outbox let go of a face.
        ("face_app", "receipts/jetson/subscriber-1"),
        ("face_app", "link/jetson/cloud"),
        ("face_app", "homeassistant/status"),
        ("face_app", "homeassistant/device/face_app-other/front/config"),
        ("face_app", "homeassistant/device/front/config"),
        ("face_app", "homeassistant/sensor/face_app-jetson/front/config"),
        ("forwarder", "face_app/jetson/front"),
        ("forwarder", "status/jetson/front"),
        ("forwarder", CONFIG),
        ("forwarder", "receipts/other/subscriber-1"),
        ("forwarder", "link/other/cloud"),
        ("home_assistant", "face_app/jetson/front"),
        ("home_assistant", "status/jetson/front"),
        ("home_assistant", "receipts/jetson/subscriber-1"),
        ("home_assistant", "link/jetson/cloud"),
        ("home_assistant", CONFIG),
    ],
)
def test_refuses_forbidden_topics(broker, tmp_path, name, topic):
    readers = {
        "face_app": "receipts/jetson/good",
        "forwarder": "face_app/jetson/good",
        "home_assistant": "face_app/jetson/good",
    }
    levels = {"receipts": "face_app", "link": "face_app", "homeassistant": "home_assistant"}
    witness = levels.get(topic.partition("/")[0], "forwarder")
    good = "forwarder" if witness == "face_app" else "face_app"
    with with_password(broker.port, witness, PASSWORD).listen(
        tmp_path / "heard", "face_app/#", "status/#", "receipts/#", "link/#", "homeassistant/#"
    ) as listener:
        refused = with_password(broker.port, name, PASSWORD).publish(topic, "foreign")
        assert (refused.accepted, "Not authorized" in refused.output) == (False, True), refused.output
        assert with_password(broker.port, good, PASSWORD).publish(readers[witness], "good").accepted
        listener.wait_for(f"{readers[witness]} good")
        assert listener.heard() == [f"{readers[witness]} good"]


def test_each_client_receives_only_its_topics(broker, tmp_path):
    everything = ("face_app/#", "status/#", "receipts/#", "link/#")
    program = with_password(broker.port, "face_app", PASSWORD)
    forwarder = with_password(broker.port, "forwarder", PASSWORD)
    with (
        program.listen(tmp_path / "program", *everything) as below,
        forwarder.listen(tmp_path / "forwarder", *everything) as above,
    ):
        assert program.publish("face_app/jetson/front", "up").accepted
        assert program.publish("status/jetson/front", "up").accepted
        assert forwarder.publish("receipts/jetson/subscriber-1", "down").accepted
        assert forwarder.publish("link/jetson/cloud", "down").accepted
        above.wait_for("status/jetson/front up")
        below.wait_for("link/jetson/cloud down")
        assert above.heard() == ["face_app/jetson/front up", "status/jetson/front up"]
        assert below.heard() == ["receipts/jetson/subscriber-1 down", "link/jetson/cloud down"]


def test_home_assistant_sees_cameras_and_faces_and_nothing_else(broker, tmp_path):
    program = with_password(broker.port, "face_app", PASSWORD)
    forwarder = with_password(broker.port, "forwarder", PASSWORD)
    home_assistant = with_password(broker.port, "home_assistant", PASSWORD)
    with (
        home_assistant.listen(tmp_path / "home_assistant", "#", "receipts/#", "link/#") as heard,
        program.listen(tmp_path / "program", "homeassistant/#", "receipts/#", "link/#") as below,
    ):
        for topic in ("receipts/jetson/subscriber-1", "link/jetson/cloud"):
            assert forwarder.publish(topic, "down").accepted
        for topic in ("face_app/jetson/front", "status/jetson/front", CONFIG):
            assert program.publish(topic, "up").accepted
        assert home_assistant.publish("homeassistant/status", "online").accepted
        heard.wait_for("homeassistant/status online")
        assert heard.heard() == [
            *("face_app/jetson/front up", "status/jetson/front up", f"{CONFIG} up", "homeassistant/status online")
        ]
        below.wait_for("homeassistant/status online")
        assert f"{CONFIG} up" not in below.heard()


def test_refuses_home_assistant_and_announcements_without_its_password(broker, plain):
    for password in (PASSWORD, ""):
        assert not with_password(plain.port, "home_assistant", password).publish("homeassistant/status").accepted
    assert with_password(broker.port, "home_assistant", PASSWORD).publish("homeassistant/status").accepted
    assert not with_password(plain.port, "face_app", PASSWORD).publish(CONFIG).accepted
    assert with_password(plain.port, "face_app", PASSWORD).publish("status/jetson/front").accepted


def test_home_assistants_own_broker_may_bridge_as_it(broker, tmp_path):
    """The bridge of docs/operations.md."""
    lines = [
        *("connection jetson", f"address 127.0.0.1:{broker.port}", "remote_username home_assistant"),
        *(f"remote_password {PASSWORD}", "bridge_protocol_version mqttv311", "cleansession true"),
        *("notifications false", "restart_timeout 1", "topic status/jetson/# in 0", "topic face_app/jetson/# in 0"),
        *("topic homeassistant/device/face_app-jetson/# in 0", "topic homeassistant/status out 0"),
    ]
    program = with_password(broker.port, "face_app", PASSWORD)
    with mosquitto([*OPEN, *lines]) as theirs:
        there = Client(theirs.port)
        with (
            program.listen(tmp_path / "program", "homeassistant/status") as below,
            there.listen(tmp_path / "theirs", "#") as heard,
        ):
            deadline = time.monotonic() + 90
            while "homeassistant/status online" not in below.heard():
                assert there.publish("homeassistant/status", "online").accepted
                assert time.monotonic() < deadline, theirs.log.read_text()
                time.sleep(0.1)
            for topic in ("status/jetson/front", "face_app/jetson/front", CONFIG):
                assert program.publish(topic, "up").accepted
                heard.wait_for(f"{topic} up")
        assert theirs.log.read_text().count("Connecting bridge (step 1) jetson") == 1
