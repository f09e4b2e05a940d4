"""Each failure of a broker names its cause, and what to change."""

import shutil
import socket
import threading
from contextlib import ExitStack, contextmanager, suppress

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from face_app.common.errors import SettingsError
from face_app.common.mqtt import Connection, probe
from face_app.common.mqtt.causes import cause_of_loss
from face_app.common.settings import Broker, EdgeSettings, load
from support.authority import Authority
from support.mosquitto import mosquitto
from support.ports import free_port
from support.tls_relay import tls_relay
from support.waiting import until

HOST = "127.0.0.1"
REFUSED_CERTIFICATE = "is not reached: its certificate is refused, "
CLOSES = (
    "is not reached: it closes the connection without an answer; check that broker.port is a port of an MQTT broker"
)
EXPECTS_TLS = "is not reached: its port expects TLS; set broker.ca_file to the CA certificate of the broker"
NO_TLS = "is not reached: its port has no TLS; set broker.port to its port with TLS, usually 8883"
NO_MQTT_5 = "it has no MQTT 5; use Mosquitto 1.6 or later"


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(probe, "TIMEOUT", 1.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("authority")
    authority = Authority(folder)
    for name in ("broker", "server"):
        authority.issue(name, usage="server")
    for name in ("edge", "revoked"):
        authority.issue(name)
    authority.issue("late", days=-1)
    authority.issue("old-broker", usage="server", days=-1)
    authority.revoke("revoked")
    (folder / "other").mkdir()
    Authority(folder / "other", "another authority").issue("foreign")
    for suffix in ("crt", "key"):
        shutil.copy(folder / f"other/foreign.{suffix}", folder)
    return folder


def problem_of(expected, port, *, host=HOST, **identity):
    """Connect until the problem names the expected cause; return the whole problem."""
    broker = Broker(host=host, port=port, keepalive=5, **identity)
    connection = Connection(broker, "it", subscriptions=["faces/#"], on_message=lambda *_: None)
    connection.start()
    try:
        try:
            until(lambda: expected in connection.problem, 40)
        except AssertionError:
            raise AssertionError(f"{connection.problem!r} has no {expected!r}") from None
        assert connection.problem.startswith(f"broker {host}:{port} ")
        return connection.problem
    finally:
        connection.stop()


def identity(files, name=None, *, ca="ca.crt"):
    own = {"cert_file": files / f"{name}.crt", "key_file": files / f"{name}.key"} if name else {}
    return {"ca_file": files / ca, **own}


def tls(files, certificate="broker", *more):
    return [
        "allow_anonymous true",
        f"cafile {files}/ca.crt",
        f"certfile {files}/{certificate}.crt",
        f"keyfile {files}/{certificate}.key",
        *more,
    ]


def test_the_certificate_of_the_broker(files):
    with mosquitto(tls(files)) as broker:
        said = problem_of(REFUSED_CERTIFICATE, broker.port, **identity(files, ca="other/ca.crt"))
        assert said.endswith(f"broker.ca_file {files}/other/ca.crt does not contain its CA")
    with mosquitto(tls(files, "old-broker")) as broker:
        said = problem_of(REFUSED_CERTIFICATE, broker.port, **identity(files))
        assert said.endswith("certificate has expired; renew it, or set the clock of this machine")
    port = free_port()
    with mosquitto([*tls(files), f"listener {port} 127.0.0.2", *tls(files)[1:]]):
        said = problem_of(REFUSED_CERTIFICATE, port, host="127.0.0.2", **identity(files))
        assert said.endswith("set broker.host to a name in the certificate")


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        (None, "it requires a client certificate; set broker.cert_file and broker.key_file"),
        ("revoked", "revoked.crt as revoked; issue a new certificate"),
        ("late", "late.crt as expired; renew it or the revocation list, and check the clocks of both"),
        ("foreign", "(TLSV1_ALERT_UNKNOWN_CA); use a certificate of its CA, issued for a client"),
        ("server", "(SSLV3_ALERT_UNSUPPORTED_CERTIFICATE); use a certificate of its CA, issued for a client"),
    ],
)
@pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])
def test_the_certificate_of_the_client(files, name, cause, version):
    lines = tls(files, "broker", f"crlfile {files}/ca.crl", "require_certificate true", f"tls_version {version}")
    with mosquitto(lines) as broker:
        assert problem_of(cause, broker.port, **identity(files, name)).startswith(
            f"broker {HOST}:{broker.port} is not reached: it re"
        )


def test_tls_at_one_end_only(files):
    with mosquitto(tls(files)) as broker:
        problem_of(EXPECTS_TLS, broker.port)
    with mosquitto(tls(files, "broker", "require_certificate true")) as broker:
        problem_of(EXPECTS_TLS, broker.port)
    with mosquitto() as broker:
        problem_of(NO_TLS, broker.port, **identity(files))


@contextmanager
def server(answer):
    """Answers each connection by a function of its first bytes; None: never."""
    with socket.create_server((HOST, 0)) as listener, ExitStack() as clients:

        def serve():
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    clients.callback(client.close)
                    threading.Thread(target=reply, args=(client,), daemon=True).start()

        def reply(client):
            with suppress(OSError):
                data = answer(client.recv(1024))
                if data is not None:
                    client.sendall(data)
                    client.close()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def old_broker(refusal):
    """Knows MQTT 3.1.1 at most."""

    def answer(data):
        level = data[data.index(b"MQTT") + 4] if b"MQTT" in data else 0
        return bytes([0x20, 2, 0, 0]) if level == 4 else refusal if level > 4 else b""

    return answer


@pytest.mark.parametrize(
    ("refusal", "prefix"),
    [
        (b"", "is not reached: "),
        (bytes([0x20, 2, 0, 1]), "refuses the connection: Unsupported protocol version; "),
        (bytes([0x20, 3, 0, 0x84, 0]), "refuses the connection: Unsupported protocol version; "),
        (bytes([0x20, 2, 0, 5]), "is not reached: "),
    ],
)
def test_a_broker_without_mqtt_5(files, refusal, prefix):
    with server(old_broker(refusal)) as port:
        problem_of(prefix + NO_MQTT_5, port)
        with tls_relay(f"http://{HOST}:{port}", files / "broker") as address:
            problem_of(prefix + NO_MQTT_5, int(address.rpartition(":")[2]), **identity(files))


def test_a_port_of_another_service(files):
    with server(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        problem_of(CLOSES, port)
    with server(lambda _: b"") as port:
        assert problem_of(CLOSES, port).endswith(", and its log")
    with server(lambda _: None) as port:
        problem_of("is not reached: it accepts the connection and does not answer; check that broker.port", port)
        problem_of("is not reached: it accepts the connection and does not answer", port, **identity(files))


def test_addresses_that_are_not_reached():
    problem_of("is not reached: nothing listens there; check broker.host and broker.port", free_port())
    problem_of("is not reached: its name is not found", 1883, host="broker.invalid")
    with socket.socket() as full, ExitStack() as waiting:
        full.bind((HOST, 0))
        full.listen(0)
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        problem_of("is not reached: no answer in time; check broker.host, broker.port", full.getsockname()[1])


def test_a_broker_that_refuses_the_identity(files, tmp_path):
    with mosquitto(["allow_anonymous false"]) as broker:
        said = problem_of("refuses the connection: Not authorized; ", broker.port)
        assert said.endswith("set broker.username and broker.password_file, or broker.cert_file")
        (tmp_path / "password").write_text("wrong\n")
        said = problem_of(
            "refuses the connection: Not authorized; ",
            broker.port,
            username="edge",
            password_file=tmp_path / "password",
        )
        assert said.endswith("check broker.username and broker.password_file")


@pytest.mark.parametrize(
    ("reason", "error", "cause"),
    [
        ("Session taken over", None, "Session taken over; another program has the same client id: stop one of two"),
        ("Not authorized", None, "Not authorized; its ACL denies a message"),
        ("Packet too large", None, "Packet too large; a message was larger than it accepts; raise its limit"),
        ("Keep alive timeout", None, "Keep alive timeout; check the network"),
        ("Server shutting down", None, "Server shutting down; the log of the broker has the cause"),
        ("Unspecified error", None, "the broker or the network ended it; the log of the broker has the cause"),
        ("Unspecified error", ConnectionResetError("reset by peer"), "reset by peer; check the network and the broker"),
    ],
)
def test_an_open_connection_that_ends(reason, error, cause):
    assert cause_of_loss(ReasonCode(PacketTypes.DISCONNECT, reason), error).startswith(cause)


def test_a_lost_connection_keeps_its_cause(caplog):
    with mosquitto() as broker:
        connection = Connection(
            Broker(host=HOST, port=broker.port), "it", subscriptions=["faces/#"], on_message=lambda *_: None
        )
        connection.start()
        until(lambda: connection.subscribed)
        broker.process.kill()
        until(lambda: "nothing listens there" in connection.problem)
        connection.stop()
    assert f"broker {HOST}:{broker.port} is lost: " in caplog.text


def test_one_probe_serves_many_attempts():
    """A busy broker that ends connections gets few more of them."""
    opened = []

    def close(server):
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                with client, suppress(OSError):
                    client.settimeout(1)
                    opened.append(client.recv(100))

    with socket.create_server((HOST, 0)) as server:
        threading.Thread(target=close, args=[server], daemon=True).start()
        broker = Broker(host=HOST, port=server.getsockname()[1])
        connection = Connection(broker, "it", subscriptions=[], on_message=lambda *_: None, reconnect_seconds=1)
        connection.start()
        until(lambda: sum(b"MQTT\x05" in each for each in opened) >= 4)
        until(lambda: CLOSES in connection.problem)  # the probe has a thread of its own
        connection.stop()
        server.shutdown(socket.SHUT_RDWR)
    assert opened.count(probe.CONNECT_3_1_1) == 1
    assert CLOSES in connection.problem


@pytest.mark.parametrize("host", ["", "mqtt://broker", "broker:1883", "a..b", "x" * 64, "a b", "user@broker"])
def test_an_unusable_host_is_a_wrong_setting(host):
    with pytest.raises(SettingsError, match=r"broker.host.*is no host: set it to a name or an address"):
        load(EdgeSettings, None, {"broker": {"host": host}})


@pytest.mark.parametrize("host", ["broker", " 10.0.0.1 ", "::1", "fe80::1%eth0", "bücher.example"])
def test_a_usable_host_is_accepted(host):
    assert Broker(host=host).host == host.strip()
