"""Alarms of Alertmanager over a real connection."""

import json
import socket

import httpx2
import pytest

from face_app.common.errors import SettingsError
from face_app.common.health_server import Health, serve
from face_app.common.settings import GallerySettings, Metrics, Store
from support.ports import free_port

from .test_notifier import idle

TOKEN = "a-token-of-this-test-alone"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def webhook(*alarms: tuple[str, str], version: str = "4") -> dict:
    """Return what Alertmanager 0.28 posts."""
    return {
        "version": version,
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "face-app",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "alerts": [
            {
                "status": status,
                "labels": {"alertname": name, "edge": "jetson", "severity": "page"},
                "annotations": {"summary": f"{name} happened"},
                "startsAt": "2026-11-22T12:00:00Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://prometheus:9090/graph",
                "fingerprint": f"print-of-{name}",
            }
            for name, status in alarms
        ],
    }


class Endpoint:
    def __init__(self, desk) -> None:
        self.desk = desk
        self.service = desk.receiver()
        self.token_file = desk.urls_file.with_name("token")
        self.token_file.write_text(TOKEN + "\n")
        self.port = free_port()
        self.server = None
        self.open()

    def open(self) -> None:
        self.close()
        # No camera is announced, and the quiet hours cover nearly the whole day: neither concerns alarms.
        rules = {"cameras": ["no/camera"], "quiet_hours": "00:00-23:59"}
        self.notifier = self.desk.open(self.service.url, alerts_token_file=self.token_file, **rules)
        healthy = Health(True, True, "", frozenset(), {})
        self.server = serve(Metrics(port=self.port), lambda: healthy, self.notifier.alarms)

    def close(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()

    def post(self, document: object, headers: dict[str, str] = HEADERS, path: str = "/alerts") -> httpx2.Response:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        return httpx2.post(f"http://127.0.0.1:{self.port}{path}", content=content, headers=headers, timeout=30)


@pytest.fixture
def endpoint(desk):
    made = Endpoint(desk)
    yield made
    made.close()


def test_an_alarm_and_its_end_arrive_once_each(endpoint):
    for _ in range(2):
        assert endpoint.post(webhook(("StoreDown", "firing"))).status_code == 200
    endpoint.service.wait(1)
    endpoint.open()  # a restart
    assert endpoint.post(webhook(("StoreDown", "firing"))).text == "0 of 1 are new\n"
    assert endpoint.post(webhook(("StoreDown", "resolved"))).text == "1 of 1 are new\n"
    endpoint.service.wait(2)
    assert endpoint.post(webhook(("StoreDown", "firing"))).text == "1 of 1 are new\n"
    messages = endpoint.service.wait(3)
    idle(endpoint.notifier)
    assert [(each.title, each.kind) for each in messages] == [
        ("Alarm: StoreDown", "warning"),
        ("Resolved: StoreDown", "success"),
        ("Alarm: StoreDown", "warning"),
    ]
    assert messages[0].body == "FIRING StoreDown (edge=jetson): StoreDown happened"


def test_alarms_of_one_request_are_one_message(endpoint):
    endpoint.post(webhook(("A", "firing"), ("B", "firing"), ("C", "resolved")))
    (message,) = endpoint.service.wait(1)
    assert message.title == "2 alarms, 1 resolved"
    assert [line.split(" (")[0] for line in message.body.splitlines()] == ["FIRING A", "FIRING B", "resolved C"]
    many = [(f"N{number}", "firing") for number in range(50)]
    endpoint.post(webhook(*many))
    assert endpoint.service.wait(2)[1].body.splitlines()[-1] == "and 30 more"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
def test_without_the_token_it_is_refused(endpoint, headers):
    assert endpoint.post(webhook(("A", "firing")), headers).status_code == 401
    assert endpoint.notifier.waiting == 0
    assert endpoint.service.attempts == 0


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff\xfe",
        [],
        webhook(("A", "firing"), version="3"),
        {"version": "4", "alerts": [{"status": "burning", "fingerprint": "x"}]},
        {"version": "4", "alerts": [{"status": "firing"}]},
        {"version": "4", "alerts": [{"status": "firing", "fingerprint": ""}]},
        {"version": "4", "alerts": [{"status": "firing", "fingerprint": "x", "labels": {"alertname": 5}}]},
    ],
)
def test_another_document_is_refused(endpoint, document):
    answer = endpoint.post(document)
    assert answer.status_code == 400
    assert "Traceback" not in answer.text
    assert endpoint.notifier.waiting == 0


def test_a_large_body_is_refused_before_it_is_read(endpoint):
    with socket.create_connection(("127.0.0.1", endpoint.port)) as client:
        head = f"POST /alerts HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 99999999\r\n\r\n"
        client.sendall(head.encode())
        assert b" 413 " in client.recv(4096)


@pytest.mark.parametrize("length", ["", "Content-Length: -1\r\n", "Content-Length: x\r\n"])
def test_a_body_without_a_length_is_refused(endpoint, length):
    with socket.create_connection(("127.0.0.1", endpoint.port)) as client:
        client.sendall(f"POST /alerts HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n{length}\r\n".encode())
        assert b" 411 " in client.recv(4096)


def test_a_body_that_does_not_arrive_ends_its_connection(endpoint):
    (server,) = endpoint.server._servers
    server.RequestHandlerClass.timeout = 0.2
    with socket.create_connection(("127.0.0.1", endpoint.port)) as client:
        client.sendall(
            f"POST /alerts HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 9\r\n\r\n{{".encode()
        )
        assert b" 408 " in client.recv(4096)


def test_other_addresses_take_nothing(endpoint):
    assert endpoint.post({}, path="/metrics").status_code == 404
    assert httpx2.get(f"http://127.0.0.1:{endpoint.port}/live").status_code == 200
    metrics = httpx2.get(f"http://127.0.0.1:{endpoint.port}/metrics").text
    assert 'face_app_gallery_notifications_total{result="sent"}' in metrics
    assert "face_app_gallery_notifications_waiting 0.0" in metrics


def test_without_a_token_there_is_no_such_address(desk):
    assert desk.open("json://127.0.0.1:1", start=False).alarms is None


@pytest.mark.parametrize(("text", "cause"), [("short\n", "has 5 characters"), ("", "has 0"), ("ä" * 20, "not ASCII")])
def test_a_bad_token_is_one_line(desk, tmp_path, text, cause):
    (tmp_path / "token").write_text(text)
    with pytest.raises(SettingsError, match=cause) as caught:
        desk.open("json://127.0.0.1:1", start=False, alerts_token_file=tmp_path / "token")
    assert "short" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"notifications": {"alerts_token_file": "/x"}}, "alerts_token_file needs urls_file"),
        ({"notifications": {"alerts_token_file": "/x", "urls_file": "/x"}}, "needs metrics.port"),
        ({"notifications": {"cameras": ["door"]}}, "is no pattern EDGE/CAMERA"),
        ({"notifications": {"quiet_hours": "22-7"}}, "is no span HH:MM-HH:MM"),
        ({"notifications": {"quiet_hours": "24:00-07:00"}}, "is no span HH:MM-HH:MM"),
        ({"notifications": {"quiet_hours": "07:00-07:00"}}, "begins and ends at the same time"),
        ({"public_url": "faces.example.com"}, "is no address of a web page"),
    ],
)
def test_wrong_settings_say_what_to_set(tmp_path, values, expected):
    with pytest.raises(ValueError, match=expected):
        GallerySettings(store=Store(kind="directory", path=tmp_path), **values)
