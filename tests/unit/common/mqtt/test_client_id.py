"""Only the owner of a private key can end the connection of its client."""

import threading
from contextlib import contextmanager

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from face_app.common.errors import SettingsError
from face_app.common.mqtt import Connection, client_id
from face_app.common.settings import Broker
from support.authority import Authority
from support.mosquitto import mosquitto
from support.waiting import until

NAME = "subscriber-1"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.issue("broker", usage="server")
    made.issue("hostile")
    return made


@pytest.fixture
def broker(authority):
    folder = authority.folder
    files = [f"cafile {folder}/ca.crt", f"certfile {folder}/broker.crt", f"keyfile {folder}/broker.key"]
    with mosquitto([*files, "require_certificate true", "use_identity_as_username true"]) as running:
        yield running


def identity(folder, name, port=8883):
    files = {"cert_file": folder / f"{name}.crt", "key_file": folder / f"{name}.key", "ca_file": folder / "ca.crt"}
    return Broker(host="127.0.0.1", port=port, keepalive=5, **files)


def issue(authority, host, port):
    """Issue a certificate of the same name for each host."""
    authority.issue(NAME)
    folder = authority.folder / host
    folder.mkdir(exist_ok=True)
    for file in ("ca.crt", f"{NAME}.crt", f"{NAME}.key"):
        (folder / file).write_bytes((authority.folder / file).read_bytes())
    return identity(folder, NAME, port)


@contextmanager
def connected(settings):
    name = client_id("subscriber", NAME, settings)
    connection = Connection(settings, name, subscriptions=["faces/#"], on_message=lambda *_: None, session_seconds=20)
    connection.start()
    try:
        until(lambda: connection.subscribed)
        yield connection
    finally:
        connection.stop()


def connect_once(name, settings):
    """Connect as another client does that chooses its id."""
    accepted = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv5)
    client.tls_set(str(settings.ca_file), str(settings.cert_file), str(settings.key_file))
    client.on_connect = lambda *_: accepted.set()
    client.connect(settings.host, settings.port)
    client.loop_start()
    assert accepted.wait(90)
    client.disconnect()
    client.loop_stop()


def test_the_id_depends_on_key_and_purpose(authority):
    hosts = [issue(authority, host, 8883) for host in "ab"]
    ids = [client_id(purpose, "n", host) for purpose in ("sender", "status") for host in hosts]
    assert ids == [client_id(purpose, "n", host) for purpose in ("sender", "status") for host in hosts]
    digests = {each.removeprefix("sender-n-").removeprefix("status-n-") for each in ids}
    assert [len(each) for each in digests] == [16] * 4
    assert client_id("sender", "n", Broker()) == "sender-n"


def test_an_unreadable_key_is_a_wrong_setting(tmp_path):
    with pytest.raises(SettingsError, match=r"broker.key_file .*missing.key cannot be read: No such file"):
        client_id("sender", "n", identity(tmp_path, "missing"))


def test_programs_of_one_name_on_two_hosts_stay_connected(authority, broker):
    first, second = (issue(authority, host, broker.port) for host in ("first", "second"))
    with connected(first) as one, connected(second) as two:
        one.publish("faces/x", b"")
        assert (one.epoch, two.epoch) == (1, 1)
        assert (one.connected, two.connected) == (True, True)
    assert "already connected" not in broker.log.read_text()


def test_a_certificate_of_another_name_cannot_end_the_connection(authority, broker):
    hostile = identity(authority.folder, "hostile", broker.port)
    with connected(issue(authority, "host", broker.port)) as connection:
        for guess in (f"subscriber-{NAME}", client_id("subscriber", NAME, hostile)):
            connect_once(guess, hostile)
        assert (connection.epoch, connection.connected) == (1, True)
        assert "already connected" not in broker.log.read_text()
        with connected(issue(authority, "host", broker.port)):
            pass  # a new key is another client
    assert "already connected" not in broker.log.read_text()
