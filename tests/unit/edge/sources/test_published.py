"""Checks addresses of published pictures, and the check of a picture."""

import errno
import re
import socket

import pytest

from face_app.common.errors import MessageError, SettingsError, SourceError
from face_app.common.mqtt import Connection, causes
from face_app.common.settings import Camera, Identity
from face_app.edge.outbox.records import EncodedImage
from face_app.edge.sources.address import is_published
from face_app.edge.sources.open_source import open_source
from face_app.edge.sources.published import check_picture, parse_published
from support.faces import picture
from support.ports import free_port
from support.waiting import until

PLAIN = Identity()


@pytest.mark.parametrize(
    ("address", "host", "port", "filter_", "level"),
    [
        ("mqtt://nvr/frigate/{camera}/person/snapshot", "nvr", 1883, "frigate/+/person/snapshot", 1),
        ("mqtt://10.0.0.2:1884/frigate/+/+/snapshot", "10.0.0.2", 1884, "frigate/+/+/snapshot", None),
        ("MQTT://nvr.local/{camera}/#", "nvr.local", 1883, "+/#", 0),
        ("mqtt://[::1]:1885/a b/picture", "::1", 1885, "a b/picture", None),
    ],
)
def test_address(address, host, port, filter_, level):
    assert is_published(address)
    source = parse_published(address, PLAIN)
    assert (source.broker.host, source.broker.port) == (host, port)
    assert (source.filter, source.camera_level) == (filter_, level)


def test_tls_has_its_own_port_and_the_identity(tmp_path):
    source = parse_published("mqtts://nvr/front", Identity(ca_file=tmp_path / "ca.crt", username="face"))
    assert (source.broker.port, source.broker.username) == (8883, "face")
    assert source.broker.ca_file == tmp_path / "ca.crt"


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("mqtt://nvr", "mqtt://HOST[:PORT]/TOPIC"),
        ("mqtt://nvr/", "mqtt://HOST[:PORT]/TOPIC"),
        ("mqtt:///topic", "mqtt://HOST[:PORT]/TOPIC"),
        ("mqtt://nvr:70000/topic", "mqtt://HOST[:PORT]/TOPIC"),
        ("mqtt://nvr:mqtt/topic", "mqtt://HOST[:PORT]/TOPIC"),
        ("mqtt://user:hunter2@nvr/topic", "source_broker.username"),
        ("mqtts://nvr/topic", "source_broker.ca_file"),
        ("mqtt://nvr/a/#/b", "no topic filter"),
        ("mqtt://nvr/a+/b", "no topic filter"),
        ("mqtt://nvr/{label}/b", "no topic filter"),
        ("mqtt://nvr/{camera}/{camera}", "no topic filter"),
        ("mqtt://nvr/$share/g/frigate", "no topic filter"),
    ],
)
def test_wrong_address_names_what_to_set(address, named):
    with pytest.raises(SourceError, match=r"camera\.source") as caught:
        parse_published(address, PLAIN)
    assert named in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_contradicting_identity(tmp_path):
    with pytest.raises(SourceError, match="contradict"):
        parse_published("mqtt://nvr/topic", Identity(ca_file=tmp_path / "ca.crt"))


@pytest.mark.parametrize("source", ["rtsp://nvr/front", "http://nvr/frigate", "mqtt", "/media/mqtt://nvr", None])
def test_other_sources_have_frames(source):
    assert not is_published(source)


def test_camera_of_a_topic():
    source = parse_published("mqtt://nvr/frigate/{camera}/person/snapshot", PLAIN)
    assert source.camera("frigate/front-door/person/snapshot", "box") == "front-door"
    assert parse_published("mqtt://nvr/frigate/#", PLAIN).camera("frigate/front/person/snapshot", "box") == "box"
    for name in ("..", "front door", "", "x" * 64):
        with pytest.raises(MessageError, match="name of a camera"):
            source.camera(f"frigate/{name}/person/snapshot", "box")


def test_a_picture_is_not_changed():
    assert check_picture(picture("JPEG", 60)) == (EncodedImage(picture("JPEG", 60), "jpg"), (60, 60))
    assert check_picture(picture("PNG", 50)) == (EncodedImage(picture("PNG", 50), "png"), (50, 50))


@pytest.mark.parametrize(
    "data", [b"", b"hello", picture()[:-200], b"\xff\xd8\xff\xd9"], ids=["0", "text", "cut", "end"]
)
def test_no_picture_is_refused(data):
    with pytest.raises(MessageError):
        check_picture(data)


def test_a_dry_run_names_the_command(stop):
    with pytest.raises((SourceError, SettingsError), match="without --dry-run"):
        open_source(Camera(source="mqtt://nvr/topic"), stop)


@pytest.mark.parametrize("advice", [causes.NO_TLS, causes.EXPECTS_TLS, causes.NO_MQTT_5, causes.SILENT, causes.CLOSES])
def test_an_advice_names_the_settings_of_a_source(advice):
    named = parse_published("mqtt://frigate/cam/snapshot", Identity()).broker.rename_settings(advice)
    settings = set(re.findall(r"[a-z_]+[.][a-z_]+", named))
    assert settings
    assert all(
        each == "camera.source" or each.removeprefix("source_broker.") in Identity.model_fields for each in settings
    )


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "check camera.source, and start the broker"),
        (OSError(errno.EHOSTUNREACH, "no route"), "check camera.source and the network"),
        (TimeoutError(), "check camera.source and firewalls"),
        (socket.gaierror(-2, "unknown"), "check camera.source and the DNS servers"),
        (OSError(errno.EIO, "broken"), "check camera.source and the network"),
    ],
)
def test_a_failed_connection_names_the_source(error, named):
    broker = parse_published("mqtt://frigate/cam/snapshot", Identity()).broker
    cause = causes.cause_of_error(error, broker)
    assert cause
    assert broker.rename_settings(cause).endswith(named)


def test_the_log_and_the_state_of_a_source_name_the_source(caplog):
    broker = parse_published(f"mqtt://127.0.0.1:{free_port()}/cam/snapshot", Identity()).broker
    connection = Connection(broker, client_id="source", subscriptions=["cam/snapshot"], on_message=lambda *_: None)
    connection.start()
    try:
        until(lambda: "camera.source" in connection.problem)
    finally:
        connection.stop()
    assert "check camera.source, and start the broker" in caplog.text
    assert "broker.host" not in caplog.text
