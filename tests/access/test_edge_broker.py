"""Who gets into the edge's broker, and how far: with the role's own configuration and Mosquitto's own clients.

A refusal proves something only beside a client that gets through, so each test has one.
"""

from collections.abc import Iterator

import pytest

from services.brokers import Broker, configure_edge_broker
from services.clients import Client, with_password
from services.ports import free_port

EDGE, PASSWORD = "jetson", "only-for-tests"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    made = Broker("edge", tmp_path_factory.mktemp("edge"), free_port())
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
        ("-u", "nobody", "-P", PASSWORD),
        ("-u", "", "-P", PASSWORD),
    ],
    ids=["anonymous", "no password", "empty password", "wrong password", "unknown name", "no name"],
)
def test_without_name_and_password_nobody_comes_in(broker, identity):
    assert not Client(broker.port, identity).publish("face_app/jetson/front").accepted
    assert with_password(broker.port, "face_app", PASSWORD).publish("face_app/jetson/front").accepted


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("face_app", "face_app/jetson/front"),
        ("face_app", "status/jetson/front"),
        ("forwarder", "receipts/jetson/subscriber-1"),
        ("forwarder", "link/jetson/cloud"),
    ],
)
def test_what_each_may_write(broker, name, topic):
    outcome = with_password(broker.port, name, PASSWORD).publish(topic)
    assert outcome.accepted, outcome.told


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("face_app", "face_app/other/front"),
        ("face_app", "face_app/test"),
        ("face_app", "status/other/front"),
        # A receipt makes the outbox let go of a face.
        ("face_app", "receipts/jetson/subscriber-1"),
        ("face_app", "link/jetson/cloud"),
        ("forwarder", "face_app/jetson/front"),
        ("forwarder", "status/jetson/front"),
        ("forwarder", "receipts/other/subscriber-1"),
        ("forwarder", "link/other/cloud"),
    ],
)
def test_what_each_may_not_write(broker, tmp_path, name, topic):
    readers = {"face_app": "receipts/jetson/good", "forwarder": "face_app/jetson/good"}
    witness = "face_app" if topic.startswith(("receipts", "link")) else "forwarder"
    good = "forwarder" if witness == "face_app" else "face_app"
    with with_password(broker.port, witness, PASSWORD).listen(
        tmp_path / "heard", "face_app/#", "status/#", "receipts/#", "link/#"
    ) as listener:
        refused = with_password(broker.port, name, PASSWORD).publish(topic, "foreign")
        assert (refused.accepted, "Not authorized" in refused.told) == (False, True), refused.told
        assert with_password(broker.port, good, PASSWORD).publish(readers[witness], "good").accepted
        listener.wait_for(f"{readers[witness]} good")
        assert listener.heard() == [f"{readers[witness]} good"]


def test_each_hears_only_what_is_for_it(broker, tmp_path):
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
