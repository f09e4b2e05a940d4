"""A connection needs granted subscriptions: it reports a refusal once and asks again."""

import json
import logging
import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import paho.mqtt.client as paho
import pytest

from face_app.common.errors import SettingsError
from face_app.common.mqtt import Connection, subscription
from face_app.common.settings import Broker
from support.mosquitto import OPEN, PLUGIN, mosquitto
from support.ports import free_port


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(subscription, "RETRY_SECONDS", 0.3)


def wait_until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def connected(port, *, on_message=lambda *_: None, **options):
    broker = Broker(host="127.0.0.1", port=port, keepalive=5)
    connection = Connection(broker, "it", subscriptions=["faces/#", "more"], on_message=on_message, **options)
    connection.start()
    try:
        assert connection.wait_for_outcome(10)
        yield connection
    finally:
        connection.stop()


def complaints(caplog):
    return [record.message for record in caplog.records if record.levelno == logging.ERROR]


def test_granted_and_lost_and_granted_again(tmp_path):
    port = free_port()
    with ExitStack() as brokers:
        brokers.enter_context(mosquitto(port=port, folder=tmp_path))
        with connected(port) as connection:
            for _ in range(2):
                wait_until(lambda: connection.subscribed)
                assert connection.problem == ""
                brokers.close()
                wait_until(lambda: not connection.connected)
                assert not connection.subscribed
                assert connection.problem.startswith(f"broker 127.0.0.1:{port} is ")
                brokers.enter_context(mosquitto(port=port, folder=tmp_path))


@pytest.mark.skipif(PLUGIN is None, reason="Mosquitto's dynamic security plugin is not installed")
def test_reports_a_refused_subscription_once_and_retries_until_it_is_granted(tmp_path, caplog):
    rules = tmp_path / "rules.json"
    control = {"acltype": "publishClientSend", "topic": "$CONTROL/#", "allow": True}
    rules.write_text(
        json.dumps(
            {
                "defaultACLAccess": {"publishClientSend": True, "publishClientReceive": True, "subscribe": False},
                "roles": [{"rolename": "control", "acls": [control]}],
                "groups": [{"groupname": "all", "roles": [{"rolename": "control"}], "clients": []}],
                "anonymousGroup": "all",
            }
        )
    )
    lines = [*OPEN, f"plugin {PLUGIN}", f"plugin_opt_config_file {rules}"]
    with mosquitto(lines) as broker, connected(broker.port) as connection:
        wait_until(lambda: "refuses the subscription" in connection.problem)
        assert (connection.connected, connection.subscribed) == (True, False)
        assert "faces/# (Not authorized)" in connection.problem
        wait_until(lambda: broker.log.read_text().count("Sending SUBACK to it") >= 3)
        assert len(complaints(caplog)) == 1
        change = {"command": "setDefaultACLAccess", "acls": [{"acltype": "subscribe", "allow": True}]}
        connection.publish("$CONTROL/dynamic-security/v1", json.dumps({"commands": [change]}).encode())
        wait_until(lambda: connection.subscribed)
        assert connection.problem == ""


@contextmanager
def silent_broker():
    """Accepts each connection and answers nothing else."""

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            clients.append(client)
            client.recv(1024)
            client.sendall(bytes([0x20, 3, 0, 0, 0]))  # CONNACK, success, no properties

    clients = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], clients
        for client in clients:
            client.close()


def test_reports_an_unanswered_subscription_once_and_retries(caplog):
    with silent_broker() as (port, clients), connected(port) as connection:
        assert "has not answered the subscription to faces/#, more" in connection.problem
        asked = b""
        while asked.count(b"faces/#") < 3:
            asked += clients[0].recv(1024)
        assert (connection.connected, connection.subscribed) == (True, False)
        assert len(complaints(caplog)) == 1


def test_between_two_connections_nothing_is_acknowledged():
    """Paho would send it before it has even said who it is, with a number that means another message there."""
    got, acknowledged = [], []
    with mosquitto() as broker, connected(broker.port, on_message=lambda *each: got.append(each)) as connection:
        wait_until(lambda: connection.subscribed)
        connection.publish("faces/1", b"face")
        wait_until(lambda: got)
        connection._client.ack = lambda *_: acknowledged.append("sent")
        connection.acknowledge(*got[0])
        connection.acknowledge(paho.MQTTMessage(mid=1), connection.epoch - 1)
        assert acknowledged == ["sent"]
        broker.process.kill()
        wait_until(lambda: not connection.connected)
        connection.acknowledge(*got[0])
        assert acknowledged == ["sent"]


def test_the_broker_drops_messages_above_the_limit_and_delivers_the_others():
    """The sender of a dropped message gets an ordinary acknowledgement, and no other message is delayed."""
    got, answers = [], []
    with (
        mosquitto() as broker,
        connected(
            broker.port,
            on_message=lambda message, _: got.append(message.payload),
            on_sent=lambda *answer: answers.append(answer),
            max_received_bytes=1000,
        ) as connection,
    ):
        wait_until(lambda: connection.subscribed)
        for size in (100, 2000, 200):
            connection.publish("faces/1", bytes(size))
        wait_until(lambda: len(got) == 2)
        assert [len(each) for each in got] == [100, 200]
        wait_until(lambda: len(answers) == 3)
        assert [reason.is_failure for _, reason in answers] == [False] * 3
        assert connection.epoch == 1


def test_a_session_ends_with_its_seconds():
    """A client that never returns must not collect messages."""
    with mosquitto() as broker:
        with connected(broker.port, session_seconds=0) as connection:
            wait_until(lambda: connection.subscribed)
        with connected(broker.port, session_seconds=60) as connection:
            wait_until(lambda: connection.subscribed)
        with connected(broker.port, session_seconds=60):
            log = broker.log.read_text()
    accepted = [line for line in log.splitlines() if "Sending CONNACK to it" in line]
    assert [line[line.index("(") :] for line in accepted] == ["(0, 0)", "(0, 0)", "(1, 0)"]


def test_after_a_stop_the_problem_is_a_whole_sentence():
    with mosquitto() as broker:
        with connected(broker.port) as connection:
            wait_until(lambda: connection.subscribed)
        wait_until(lambda: not connection.connected)
        assert connection.problem == f"broker 127.0.0.1:{broker.port} is not connected"


def test_an_empty_password_file_is_named(tmp_path):
    (tmp_path / "password").write_text("")
    broker = Broker(host="127.0.0.1", port=1, username="edge", password_file=tmp_path / "password")
    with pytest.raises(SettingsError, match="password is empty"):
        Connection(broker, "it", subscriptions=[], on_message=lambda *_: None)
