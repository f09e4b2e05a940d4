"""Access rules of the cloud broker, with the role's configuration and Mosquitto's clients.

A refusal proves something only beside a client that gets through, so each test has one.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.authority import Authority
from support.brokers import Broker, configure_cloud_broker
from support.clients import Client, alert, with_certificate
from support.ports import free_ports


@dataclass(frozen=True)
class Cloud:
    broker: Broker
    authority: Authority
    lab_port: int

    def client(self, name: str | None) -> Client:
        return with_certificate(self.broker.port, self.broker.folder, name)

    def alert(self, name: str | None) -> str:
        return alert(self.broker.port, self.broker.folder, name)


def _cloud(folder: Path, *, lab: bool = False) -> Cloud:
    folder.mkdir()
    port, lab_port = free_ports(2)
    authority = Authority(folder)
    authority.issue("cloud-broker", usage="server")
    for name in ("subscriber-1", "gallery", "health", "jetson", "other", "stolen"):
        authority.issue(name)
    authority.issue("late", days=-1)
    authority.revoke()
    broker = Broker("cloud", folder, port)
    configure_cloud_broker(broker, lab_port=lab_port if lab else None)
    return Cloud(broker, authority, lab_port)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    made = _cloud(tmp_path_factory.mktemp("cloud") / "broker")
    made.authority.revoke("stolen")
    made.broker.start()
    yield made
    made.broker.stop()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    made = _cloud(tmp_path_factory.mktemp("lab") / "broker", lab=True)
    made.broker.start()
    yield made
    made.broker.stop()


def test_refuses_clients_without_a_certificate(cloud):
    assert not cloud.client(None).publish("face_app/jetson/front").accepted
    assert cloud.alert(None) == "SSLV3_ALERT_HANDSHAKE_FAILURE"
    assert cloud.client("jetson").publish("face_app/jetson/front").accepted


def test_a_name_is_no_certificate(cloud):
    named = Client(cloud.broker.port, ("--cafile", cloud.broker.folder / "ca.crt", "-u", "jetson", "-P", "x"))
    assert not named.publish("face_app/jetson/front").accepted
    assert cloud.client("jetson").publish("face_app/jetson/front").accepted


def test_nothing_is_spoken_in_clear_text(cloud):
    assert not Client(cloud.broker.port).publish("face_app/jetson/front").accepted
    assert not Client(cloud.broker.port).publish("face_app/test").accepted
    assert cloud.client("jetson").publish("face_app/jetson/front").accepted


@pytest.mark.parametrize(
    ("authority", "reason"),
    [("another authority", "TLSV1_ALERT_UNKNOWN_CA"), ("test authority", "TLSV1_ALERT_DECRYPT_ERROR")],
)
def test_a_certificate_of_another_authority_opens_nothing_even_under_our_name(cloud, tmp_path, authority, reason):
    Authority(tmp_path, authority).issue("jetson")
    forged = (cloud.broker.port, tmp_path, "jetson")
    trusted = cloud.broker.folder / "ca.crt"
    assert not with_certificate(*forged, authority=trusted).publish("face_app/jetson/front").accepted
    assert alert(*forged, authority=trusted) == reason
    assert cloud.client("jetson").publish("face_app/jetson/front").accepted


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("late", "SSLV3_ALERT_CERTIFICATE_EXPIRED"),
        ("stolen", "SSLV3_ALERT_CERTIFICATE_REVOKED"),
        ("cloud-broker", "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"),
    ],
)
def test_refuses_invalid_and_server_certificates(cloud, name, reason):
    assert not cloud.client(name).publish(f"face_app/{name}/front").accepted
    assert (cloud.alert(name), cloud.alert("jetson")) == (reason, "")
    assert cloud.client("jetson").publish("face_app/jetson/front").accepted


def test_refuses_all_clients_after_the_revocation_list_has_expired(tmp_path):
    made = _cloud(tmp_path / "broker")
    with ExitStack() as stack:
        stack.callback(made.broker.stop)
        made.broker.start()
        assert made.client("jetson").publish("face_app/jetson/front").accepted
        made.broker.stop()
        made.authority.revoke(days=-0.5)
        made.broker.start()
        assert not made.client("jetson").publish("face_app/jetson/front").accepted


def test_a_live_session_ends_when_the_broker_restarts_with_the_new_list(tmp_path):
    made = _cloud(tmp_path / "broker")
    subscriber = made.client("subscriber-1")
    with ExitStack() as stack:
        stack.callback(made.broker.stop)
        made.broker.start()
        live = {
            name: stack.enter_context(
                made.client(name).listen(tmp_path / name, f"receipts/{name}/#", session=f"{name}-0badcafe")
            )
            for name in ("stolen", "other")
        }
        for name, listener in live.items():
            assert subscriber.publish(f"receipts/{name}/subscriber-1", "before").accepted
            listener.wait_for(f"receipts/{name}/subscriber-1 before")

        made.broker.stop()
        made.authority.revoke("stolen")
        made.broker.start()
        live["other"].wait_for("Subscribed (mid: 2)")
        for name in live:
            assert subscriber.publish(f"receipts/{name}/subscriber-1", "after").accepted
        live["other"].wait_for("receipts/other/subscriber-1 after")
        assert live["stolen"].heard() == ["receipts/stolen/subscriber-1 before"]
        assert not made.client("stolen").publish("face_app/stolen/front").accepted

        # Its replacement has the name and another serial.
        (made.broker.folder / "stolen.crt").rename(tmp_path / "stolen.crt")
        made.authority.issue("stolen")
        with made.client("stolen").listen(
            tmp_path / "new", "receipts/stolen/#", session="stolen-0badcafe"
        ) as replacement:
            replacement.wait_for("Subscribed (mid: 1)")
            assert subscriber.publish("receipts/stolen/subscriber-1", "again").accepted
            replacement.wait_for("receipts/stolen/subscriber-1 again")


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("jetson", "face_app/jetson/front"),
        ("jetson", "status/jetson/front"),
        ("other", "face_app/other/front"),
        ("subscriber-1", "receipts/jetson/subscriber-1"),
        ("subscriber-1", "receipts/other/subscriber-1"),
    ],
)
def test_accepts_allowed_topics(cloud, name, topic):
    outcome = cloud.client(name).publish(topic)
    assert outcome.accepted, outcome.output


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("jetson", "face_app/other/front"),
        ("jetson", "face_app/test"),
        ("jetson", "status/other/front"),
        ("jetson", "receipts/jetson/subscriber-1"),
        ("jetson", "receipts/other/subscriber-1"),
        ("jetson", "link/jetson/cloud"),
        ("subscriber-1", "face_app/jetson/front"),
        ("subscriber-1", "face_app/subscriber-1/front"),
        ("subscriber-1", "status/jetson/front"),
        ("subscriber-1", "status/subscriber-1/front"),
        ("gallery", "face_app/jetson/front"),
        ("gallery", "face_app/gallery/front"),
        ("gallery", "status/jetson/front"),
        ("gallery", "status/gallery/front"),
        ("gallery", "receipts/jetson/gallery"),
        ("health", "face_app/jetson/front"),
        ("health", "face_app/health/front"),
        ("health", "status/jetson/front"),
        ("health", "status/health/front"),
        ("health", "receipts/jetson/subscriber-1"),
    ],
)
def test_refuses_forbidden_topics(cloud, tmp_path, name, topic):
    witness = "jetson" if topic.startswith("receipts/jetson") else "other" if "receipts" in topic else "subscriber-1"
    good, good_topic = ("jetson", "face_app/jetson/good")
    if witness != "subscriber-1":
        good, good_topic = ("subscriber-1", f"receipts/{witness}/good")
    with cloud.client(witness).listen(tmp_path / "heard", "face_app/#", "receipts/#", "status/#") as listener:
        refused = cloud.client(name).publish(topic, "foreign")
        assert (refused.accepted, "Not authorized" in refused.output) == (False, True), refused.output
        assert cloud.client(good).publish(good_topic, "good").accepted
        listener.wait_for(f"{good_topic} good")
        assert listener.heard() == [f"{good_topic} good"]


def test_an_edge_receives_its_own_receipts_and_nothing_else(cloud, tmp_path):
    everything = ("face_app/#", "status/#", "receipts/other/#", "receipts/#", "receipts/jetson/#")
    with (
        cloud.client("subscriber-1").listen(tmp_path / "subscriber", "face_app/#") as subscriber,
        cloud.client("other").listen(tmp_path / "other", "receipts/other/#") as other,
        cloud.client("jetson").listen(tmp_path / "jetson", *everything) as jetson,
    ):
        assert cloud.client("other").publish("face_app/other/front").accepted
        assert cloud.client("other").publish("status/other/front").accepted
        subscriber.wait_for("face_app/other/front a face")
        assert cloud.client("subscriber-1").publish("receipts/other/subscriber-1", "theirs").accepted
        other.wait_for("receipts/other/subscriber-1 theirs")
        assert cloud.client("subscriber-1").publish("receipts/jetson/subscriber-1", "mine").accepted
        jetson.wait_for("receipts/jetson/subscriber-1 mine")
        assert set(jetson.heard()) == {"receipts/jetson/subscriber-1 mine"}


def test_the_health_check_hears_the_broker_and_the_states_of_cameras(cloud, tmp_path):
    everything = ("#", "$SYS/broker/uptime", "receipts/#")
    with cloud.client("health").listen(tmp_path / "heard", *everything) as listener:
        for name in ("health", "jetson"):
            assert cloud.client("subscriber-1").publish(f"receipts/{name}/subscriber-1").accepted
        assert cloud.client("jetson").publish("face_app/jetson/front").accepted
        assert cloud.client("jetson").publish("status/jetson/front").accepted
        listener.wait_for("$SYS/broker/uptime ")
        listener.wait_for("status/jetson/front ")
        assert {line.split(" ")[0] for line in listener.heard()} == {"$SYS/broker/uptime", "status/jetson/front"}


def test_the_gallery_hears_receipts_and_states_and_no_face(cloud, tmp_path):
    with cloud.client("gallery").listen(tmp_path / "heard", "#", "face_app/#", "receipts/#", "status/#") as listener:
        assert cloud.client("jetson").publish("face_app/jetson/front").accepted
        assert cloud.client("subscriber-1").publish("receipts/jetson/subscriber-1").accepted
        assert cloud.client("jetson").publish("status/jetson/front").accepted
        listener.wait_for("status/jetson/front ")
        heard = {line.split(" ")[0] for line in listener.heard()}
        assert heard == {"receipts/jetson/subscriber-1", "status/jetson/front"}


def test_a_subscriber_hears_faces_and_states_and_no_receipt(cloud, tmp_path):
    everything = ("#", "face_app/#", "receipts/#", "status/+/+")
    with cloud.client("subscriber-1").listen(tmp_path / "heard", *everything) as listener:
        assert cloud.client("subscriber-1").publish("receipts/jetson/subscriber-1").accepted
        assert cloud.client("jetson").publish("face_app/jetson/front").accepted
        assert cloud.client("jetson").publish("status/jetson/front").accepted
        listener.wait_for("status/jetson/front ")
        assert {line.split(" ")[0] for line in listener.heard()} == {"face_app/jetson/front", "status/jetson/front"}


def test_the_laboratorys_listener_is_closed_by_default(cloud, lab):
    listeners = [
        [line for line in (each.broker.folder / "mosquitto.conf").read_text().splitlines() if "listener " in line[:9]]
        for each in (cloud, lab)
    ]
    assert [len(each) for each in listeners] == [1, 2]
    assert not Client(cloud.lab_port).publish("face_app/test").accepted
    assert Client(lab.lab_port).publish("face_app/test").accepted


def test_the_laboratorys_listener_takes_one_topic_and_gives_none(lab, tmp_path):
    anonymous = Client(lab.lab_port)
    with (
        lab.client("subscriber-1").listen(tmp_path / "subscriber", "face_app/#") as subscriber,
        anonymous.listen(tmp_path / "anonymous", "#", "face_app/test", "receipts/#") as eavesdropper,
    ):
        for topic in ("face_app/jetson/front", "face_app/test/front", "receipts/jetson/subscriber-1", "status/jetson"):
            assert not anonymous.publish(topic, "foreign").accepted
        assert lab.client("jetson").publish("face_app/jetson/front").accepted
        assert anonymous.publish("face_app/test").accepted
        subscriber.wait_for("face_app/test a face")
        assert subscriber.heard() == ["face_app/jetson/front a face", "face_app/test a face"]
        assert eavesdropper.heard() == []


@pytest.mark.parametrize("name", ["jetson", "subscriber-1", "health"])
def test_the_laboratorys_listener_refuses_names_of_others(lab, tmp_path, name):
    for identity in (("-u", name), ("-u", name, "-P", "x"), ("-u", name, "-P", "")):
        impostor = Client(lab.lab_port, identity)
        assert not impostor.publish("face_app/jetson/front").accepted
        assert not impostor.publish("receipts/jetson/subscriber-1").accepted
    assert Client(lab.lab_port).publish("face_app/test").accepted


def test_with_the_laboratorys_listener_the_other_one_is_as_strict_as_before(lab):
    assert not lab.client(None).publish("face_app/test").accepted
    assert lab.client("jetson").publish("face_app/jetson/front").accepted
    assert not lab.client("jetson").publish("face_app/other/front").accepted
