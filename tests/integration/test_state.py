"""The cloud broker retains the state of a camera: through both bridges, by last will, and after an outage."""

import json
import time
from datetime import datetime, timedelta, timezone

import pytest

from face_app import __version__
from face_app.common.health_server import Health
from face_app.common.mqtt import Connection
from face_app.common.wire import status_topic
from face_app.edge.health import status_publisher
from face_app.edge.health.status_publisher import LOST, publish_status
from face_app.edge.outbox.outbox import Outbox
from support.chain import EDGE
from support.clients import with_certificate

TOPIC = status_topic(EDGE, "door")


@pytest.fixture
def until(brokers, tmp_path):
    """Wait until the cloud broker has retained the wanted state and return it."""
    cloud = brokers["cloud"]

    def wait(wanted, seconds=90):
        deadline = time.monotonic() + seconds
        while True:
            with with_certificate(cloud.port, cloud.folder, "health").listen(tmp_path / "heard", "status/#") as heard:
                time.sleep(0.2)
                states = [json.loads(line.removeprefix(f"{TOPIC} ")) for line in heard.heard()]
            if states and wanted(states[-1]):
                return states[-1]
            assert time.monotonic() < deadline, states
            (tmp_path / "heard").unlink()

    return wait


def test_the_cloud_retains_a_state_and_a_last_will_after_an_outage(brokers, settings, until, tmp_path, monkeypatch):
    monkeypatch.setattr(status_publisher, "POLL_SECONDS", 0.05)
    moment = datetime(2026, 11, 22, tzinfo=timezone.utc)
    with Outbox(settings.outbox) as outbox:
        with publish_status(settings, outbox, lambda: Health(True, True, "", frozenset(), {})) as seen:
            until(lambda state: state["state"] == "online")
            brokers["cloud"].stop()
            for minute in range(10):
                seen.frame(moment + timedelta(minutes=minute), faces=1)
                time.sleep(0.1)
            brokers["cloud"].start()
            until(lambda state: state["faces"] == 10)
            brokers["forwarder"].kill()
            brokers["cloud"].kill()
            brokers["cloud"].start()
            brokers["forwarder"].start()
            until(lambda state: state["faces"] == 10)
        until(lambda state: (state["state"], state["problem"]) == ("offline", "stopped"))

        lost = json.dumps({"state": "offline", "problem": LOST, "version": __version__}).encode()
        connection = Connection(
            settings.broker, "door", subscriptions=[], on_message=lambda *_: None, will=(TOPIC, lost)
        )
        connection.start()
        assert connection.wait_for_outcome(10)
        assert connection.publish_retained(TOPIC, b'{"state": "online"}')
        until(lambda state: state == {"state": "online"})
        connection._client.socket().shutdown(2)
        until(lambda state: state == json.loads(lost))
        connection.stop()
