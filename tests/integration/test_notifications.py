"""The gallery as a process announces faces: a real broker, a real S3 store, a real receiver."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx2
import pytest

from face_app.common.health_server import fetch_health
from face_app.common.settings import Metrics, Store
from support.faces import DrawnFace
from support.gallery import RunningGallery, publish_receipt, running_gallery
from support.mosquitto import mosquitto
from support.portraits import portrait
from support.ports import free_port, wait_for_port
from support.processes import process
from support.receiver import Receiver, receiver
from support.s3 import client as s3_client
from support.seaweedfs import MISSING, seaweedfs, weed
from support.waiting import until

pytestmark = pytest.mark.skipif(not weed(), reason=MISSING)
ALERTMANAGER = shutil.which("prometheus-alertmanager")
ALERTMANAGER_CONFIG = """
route: {{receiver: face-app, group_wait: 10ms, group_interval: 1s, repeat_interval: 1s}}
receivers:
  - name: face-app
    webhook_configs:
      - url: {hook}
        http_config: {{authorization: {{credentials_file: {token}}}}}
"""
TOKEN = "a-token-of-this-test-alone"


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with seaweedfs() as server:
        made = Store(kind="s3", endpoint=server.endpoint, credentials_file=server.credentials)
        s3_client(server.endpoint).create_bucket(Bucket=made.bucket)
        yield made


def put(store: Store, face: DrawnFace) -> None:
    s3_client(str(store.endpoint)).put_object(Bucket=store.bucket, Key=face.key, Body=face.payload)


@contextmanager
def notifying_gallery(
    home: Path, store: Store, broker_port: int, *urls: str, **values: Any
) -> Iterator[RunningGallery]:
    """Run a gallery whose metrics and alarms are at `home/port`."""
    (home / "urls").write_text("\n".join(urls))
    (home / "token").write_text(TOKEN)
    port = free_port()
    (home / "port").write_text(str(port))
    notifications = {"urls_file": str(home / "urls"), "alerts_token_file": str(home / "token"), **values}
    settings = {"public_url": "https://faces.example.com", "metrics": {"port": port}, "notifications": notifications}
    with running_gallery(home, store, broker_port, **settings) as gallery:
        gallery.listed().wait_for(lambda gallery: "broker" not in notices(gallery))
        yield gallery


def notices(gallery: RunningGallery) -> dict[str, str]:
    return {each["what"]: each["text"] for each in gallery.api("state")["notices"]}


def metric(home: Path, result: str) -> float:
    text = httpx2.get(f"http://127.0.0.1:{(home / 'port').read_text()}/metrics", timeout=30).text
    name = f'face_app_gallery_notifications_total{{result="{result}"}} '
    return next(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))


def new_face(sequence: int, **values: Any) -> DrawnFace:
    return portrait(sequence, datetime.now(timezone.utc), track=sequence, **values)


def pictures(service: Receiver) -> list[bytes]:
    return [data for message in service.received for data in message.pictures.values()]


def test_a_face_and_an_alarm_arrive(store, tmp_path):
    """An older face of the bucket is no news; a copy of a receipt is none either."""
    put(store, portrait(1, datetime.now(timezone.utc) - timedelta(hours=3), camera="first"))
    with receiver() as service, mosquitto() as broker:
        with notifying_gallery(tmp_path, store, broker.port, service.url) as gallery:
            face = new_face(2, camera="first")
            put(store, face)
            publish_receipt(broker.port, face)
            (message,) = service.wait(1)
            assert list(message.pictures.values()) == [face.payload]
            assert message.body.endswith(f"\nhttps://faces.example.com/face/{face.key}")
            publish_receipt(broker.port, face)
            alarm = {"status": "firing", "labels": {"alertname": "StoreDown"}, "fingerprint": "f1"}
            document = {"version": "4", "alerts": [alarm]}
            address = f"http://127.0.0.1:{(tmp_path / 'port').read_text()}/alerts"
            assert httpx2.post(address, json=document, timeout=30).status_code == 401
            headers = {"Authorization": f"Bearer {TOKEN}"}
            assert httpx2.post(address, json=document, headers=headers, timeout=30).status_code == 200
            assert service.wait(2)[1].title == "Alarm: StoreDown"
            until(lambda: metric(tmp_path, "sent") == 2)
            assert gallery.keys("camera=first")[0] == face.key
        assert service.attempts == 2
        assert TOKEN not in (tmp_path / "gallery.log").read_text()


def test_a_killed_gallery_sends_nothing_twice_and_misses_none(store, tmp_path):
    """Killed with messages that wait; one face is stored while it is down, and its receipt is lost."""
    port = free_port()
    url, rules = f"json://127.0.0.1:{port}/hook", {"cool_down": 0}
    faces = [new_face(number, camera="second") for number in range(10, 15)]
    with mosquitto() as broker:
        with notifying_gallery(tmp_path, store, broker.port, url, **rules) as gallery:
            with receiver(port) as service:
                put(store, faces[0])
                publish_receipt(broker.port, faces[0])
                sent = list(service.wait(1))
                until(lambda: metric(tmp_path, "sent") == 1)
            for face in faces[1:4]:  # the service is down
                put(store, face)
                publish_receipt(broker.port, face)
            gallery.wait_for(lambda gallery: "3 messages wait" in notices(gallery).get("notifications", ""))
            health = fetch_health(Metrics(port=int((tmp_path / "port").read_text())))
            assert health.ready, "a service that is down prevents no page"
            assert "3 messages wait" in str(health.facts["notifications"])
            gallery.process.kill()
            gallery.process.wait()
        put(store, faces[4])
        # A process may be killed between an attempt and its result; such a message is not sent again.
        with sqlite3.connect(tmp_path / "index-notifications.db") as connection:
            (unknown,) = connection.execute("SELECT count(*) FROM deliveries WHERE sending = 1").fetchone()
        with receiver(port) as service, notifying_gallery(tmp_path, store, broker.port, url, **rules):
            sent += service.wait(4 - unknown)
            until(lambda: metric(tmp_path, "sent") == 4 - unknown)
            assert metric(tmp_path, "interrupted") == unknown
            assert service.attempts == 4 - unknown
    arrived = [data for message in sent for data in message.pictures.values()]
    assert len(set(arrived)) == len(arrived) == 5 - unknown
    assert set(arrived) <= {face.payload for face in faces}
    assert {faces[0].payload, faces[4].payload} <= set(arrived)


def test_a_hanging_service_delays_no_page_and_no_other_service(store, tmp_path):
    with receiver() as hanging, receiver() as service, mosquitto() as broker:
        hanging.silent.set()
        urls = (hanging.url + "?rto=300", service.url)
        with notifying_gallery(tmp_path, store, broker.port, *urls, cool_down=0) as gallery:
            faces = [new_face(number, camera="third") for number in range(20, 24)]
            for face in faces:
                put(store, face)
                publish_receipt(broker.port, face)
            service.wait(4)
            assert sorted(pictures(service)) == sorted(face.payload for face in faces)
            assert len(gallery.keys("camera=third")) == 4
            until(lambda: hanging.attempts)
            gallery.process.terminate()
            assert gallery.process.wait(60) == 0
        assert hanging.attempts == 1


@pytest.mark.skipif(not ALERTMANAGER, reason="needs Debian's prometheus-alertmanager")
def test_alertmanager_itself_is_understood(store, tmp_path):
    """Its own webhook: begin and end of an alarm, each once although it repeats them."""
    port, page = free_port(), free_port()
    with receiver() as service, mosquitto() as broker:
        with notifying_gallery(tmp_path, store, broker.port, service.url):
            hook = f"http://127.0.0.1:{(tmp_path / 'port').read_text()}/alerts"
            config = tmp_path / "alertmanager.yml"
            config.write_text(ALERTMANAGER_CONFIG.format(hook=hook, token=tmp_path / "token"))
            command = [ALERTMANAGER, f"--config.file={config}", f"--storage.path={tmp_path / 'data'}"]
            command += [f"--web.listen-address=127.0.0.1:{page}", f"--cluster.listen-address=127.0.0.1:{port}"]
            with process(command, tmp_path / "alertmanager.log") as running:
                wait_for_port(page, running)
                alert: dict[str, Any] = {
                    "labels": {"alertname": "SubscriberDown", "edge": "jetson"},
                    "annotations": {"summary": "no subscriber"},
                }
                address = f"http://127.0.0.1:{page}/api/v2/alerts"
                until(lambda: httpx2.post(address, json=[alert], timeout=30).status_code == 200)
                service.wait(1)
                alert["endsAt"] = datetime.now(timezone.utc).isoformat()
                assert httpx2.post(address, json=[alert], timeout=30).status_code == 200
                service.wait(2)
        assert [(each.title, each.body) for each in service.received] == [
            ("Alarm: SubscriberDown", "FIRING SubscriberDown (edge=jetson): no subscriber"),
            ("Resolved: SubscriberDown", "resolved SubscriberDown (edge=jetson): no subscriber"),
        ]
