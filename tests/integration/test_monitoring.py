"""Prometheus and Alertmanager with the role's rules, beside a real broker, a subscriber and a gallery."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from subprocess import Popen

import paho.mqtt.publish
import pytest

from face_app.common.settings import Store
from support.gallery import running_gallery
from support.monitoring import MISSING, installed, monitoring
from support.mosquitto import Mosquitto, mosquitto
from support.ports import free_port, free_ports, wait_for_port
from support.processes import process

pytestmark = pytest.mark.skipif(not installed(), reason=MISSING)


@contextmanager
def subscriber(home: Path, broker: Mosquitto, metrics: int) -> Iterator[Popen[bytes]]:
    """Run `face-app subscribe` with a directory as its store."""
    (home / "store").mkdir(exist_ok=True)
    (home / "cloud.toml").write_text(
        f'[store]\nkind = "directory"\npath = "{home}/store"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n[metrics]\nport = {metrics}\n'
    )
    command = [sys.executable, "-m", "face_app", "subscribe", "--config", str(home / "cloud.toml")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with process(command, home / "subscribe.log", env=environment) as running:
        wait_for_port(metrics, running)
        yield running


def fires(name: str, *, status: str = "firing") -> object:
    return lambda running: name in running.receiver.alarms(status)


def publish_state(broker: Mosquitto, **values: object) -> None:
    state = {"state": "online", "problem": "", "at": datetime.now(timezone.utc).isoformat(), **values}
    paho.mqtt.publish.single(
        "status/jetson/door", json.dumps(state), qos=1, retain=True, hostname="127.0.0.1", port=broker.port
    )


def test_a_killed_subscriber_raises_an_alarm_that_arrives_and_ends(tmp_path):
    port = free_port()
    with mosquitto() as broker, monitoring(tmp_path, subscribers=[f"127.0.0.1:{port}"]) as running:
        with subscriber(tmp_path, broker, port) as victim:
            running.wait_for(lambda each: each.query("face_app_subscriber_connected == 1"))
            running.wait_for(lambda each: not each.query("up == 0"))
            # It may have fired before the subscriber answered.
            running.wait_for(lambda each: not each.query('ALERTS{alertname="FaceAppSubscriberDown"}'))
            running.receiver.forget()
            victim.kill()
            running.wait_for(fires("FaceAppSubscriberDown"))
        labels = running.receiver.alarms()["FaceAppSubscriberDown"]
        assert (labels["instance"], labels["severity"]) == (f"127.0.0.1:{port}", "critical")
        with subscriber(tmp_path, broker, port):
            running.wait_for(fires("FaceAppSubscriberDown", status="resolved"))
        assert running.receiver.refused == 0


def test_a_fleet_behind_nat_raises_alarms(tmp_path):
    """The gallery's metrics are those of the edges, whose own no Prometheus reaches."""
    home, metrics = tmp_path / "gallery", free_port()
    home.mkdir()
    (tmp_path / "bucket").mkdir()
    store = Store(kind="directory", path=tmp_path / "bucket")
    with (
        mosquitto() as broker,
        running_gallery(home, store, broker.port, metrics={"port": metrics}) as gallery,
        monitoring(tmp_path, subscribers=[], gallery=f"127.0.0.1:{metrics}") as running,
    ):
        gallery.wait_for(lambda gallery: not gallery.api("state")["notices"])
        publish_state(broker, version="1.2.3", waiting=7, oldest_waiting=10, certificate_days=300.0)
        running.wait_for(lambda each: each.query('face_app_fleet_waiting{edge="jetson", camera="door"} == 7'))
        running.wait_for(lambda each: not each.query("ALERTS"))
        running.receiver.forget()
        publish_state(broker, version="1.2.3", waiting=7, oldest_waiting=4000, certificate_days=20.9)
        running.wait_for(fires("FaceAppFleetFacesWait"))
        running.wait_for(fires("FaceAppFleetCertificateExpires"))
        publish_state(broker, problem="no frame for 70 s: check the camera")
        running.wait_for(fires("FaceAppCameraNotReady"))
        broker.process.kill()
        running.wait_for(fires("FaceAppGalleryHearsNothing"))
        assert "FaceAppStoreDown" not in running.receiver.alarms()


def test_a_wrong_token_is_an_alarm_that_the_page_shows(tmp_path):
    (closed,) = free_ports(1)
    with monitoring(tmp_path, subscribers=[f"127.0.0.1:{closed}"], monitoring_webhook_token="") as running:
        running.wait_for(lambda each: each.receiver.refused)
        running.wait_for(lambda each: each.query('ALERTS{alertname="FaceAppAlarmsNotSent", alertstate="firing"}'))
        assert running.receiver.alarms() == {}
