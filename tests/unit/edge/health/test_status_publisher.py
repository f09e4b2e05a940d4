"""The retained state of a camera is true, however the program ends and whatever the broker does."""

import json
import signal
import time
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import pytest

from face_app import __version__
from face_app.common.errors import OutboxError, SourceError
from face_app.common.health_server import Health
from face_app.common.settings import EdgeSettings, OutboxFile
from face_app.edge.health import status_publisher
from face_app.edge.health.status_publisher import LOST, publish_status
from face_app.edge.outbox.outbox import Outbox
from support.authority import Authority
from support.mosquitto import mosquitto
from support.new_faces import new_face
from support.ports import free_port
from support.states import states

TOPIC = "status/jetson/door"
HEALTHY = Health(True, True, "", frozenset(), {"frame_age": 0.1, "waiting": 2})


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch):
    monkeypatch.setattr(status_publisher, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(status_publisher, "HEALTH_SECONDS", 0.05)
    monkeypatch.setattr(status_publisher, "RETRY_SECONDS", 0.05)


def settings_for(port, path, **changes):
    return EdgeSettings(
        edge="jetson",
        camera={"name": "door"},
        outbox={"path": path},
        broker={"host": "127.0.0.1", "port": port, "keepalive": 5},
        **changes,
    )


@contextmanager
def publishing(port, path, health=lambda: HEALTHY, **changes):
    settings = settings_for(port, path, **changes)
    with Outbox(OutboxFile(path=path)) as outbox, publish_status(settings, outbox, health) as counts:
        yield counts


def retained(port, topic=TOPIC):
    """Return the document that a later subscriber receives."""
    with states(port, topic) as heard:
        return heard.wait_for(lambda each: each.retained).document


def is_online(heard):
    return heard.topic == TOPIC and heard.document["state"] == "online"


def is_offline(heard):
    return heard.topic == TOPIC and heard.document["state"] == "offline"


def wait_until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def published(broker, client="status-"):
    """Count the messages that the broker took from such clients, by its log."""
    return broker.log.read_text().count(f"Received PUBLISH from {client}")


@pytest.fixture
def program(face_app, broker, clip):
    """Start the program with a face in front of its camera."""
    return face_app(
        *("capture", "--source", clip, "--loop", "--camera", "door", "--broker", f"127.0.0.1:{broker.port}"),
        FACE_APP_DETECTOR__NAME="haar",
    )


def test_a_running_camera_is_online_with_counts_and_offline_after_a_clean_end(broker, program):
    with states(broker.port, "#") as heard:
        online = heard.wait_for(lambda each: is_online(each) and each.document["faces"]).document
        assert (online["problem"], online["connected"], online["frames"] > 0) == ("", True, True)
        assert 0 <= online["frame_age"] < 10
        started, captured, published = (datetime.fromisoformat(online[name]) for name in ("since", "last_face", "at"))
        assert started <= captured <= published
        assert retained(broker.port)["state"] == "online"
        program.send_signal(signal.SIGTERM)
        assert heard.wait_for(is_offline).document["problem"] == "stopped"
        assert program.wait(90) == 0
        assert retained(broker.port)["faces"] >= online["faces"]
        assert not [each for each in heard.heard if each.topic.startswith("homeassistant")]


def test_a_killed_camera_is_offline_by_its_last_will(broker, program):
    with states(broker.port, TOPIC) as heard:
        heard.wait_for(is_online)
        program.kill()
        heard.wait_for(is_offline)
    assert retained(broker.port) == {"state": "offline", "problem": LOST, "version": __version__}


def test_publishes_the_mark_of_the_outbox_when_it_changes(broker, path):
    settings = settings_for(broker.port, path)
    with (
        states(broker.port, TOPIC) as heard,
        Outbox(settings.outbox) as outbox,
        publish_status(settings, outbox, lambda: HEALTHY),
    ):
        assert "outbox" not in heard.wait_for(is_online).document
        for last in (1, 2):
            outbox.append([new_face()])
            found = heard.wait_for(
                lambda each, last=last: each.document.get("outbox", {}).get("sequence") == last
            ).document
            opening = outbox.mark().opening
            assert found["outbox"] == {"id": outbox.id, "sequence": last, "opening": opening, "first": 1}
    assert retained(broker.port)["outbox"]["sequence"] == 2


def test_publishes_a_change_but_not_the_same_reason_with_other_numbers(broker, path, monkeypatch):
    current = [HEALTHY]
    with states(broker.port, TOPIC) as heard, publishing(broker.port, path, lambda: current[0]) as counts:
        heard.wait_for(is_online)
        for age in range(30, 40):
            reason = f"no frame for {age} s: check the camera"
            current[0] = Health(True, False, reason, frozenset(), {"frame_age": age})
            time.sleep(2 * status_publisher.POLL_SECONDS)
        first = heard.wait_for(lambda each: each.document["problem"]).document
        assert first["problem"].startswith("no frame for 3")
        assert len(heard.heard) == 2
        current[0] = HEALTHY
        moment = datetime(2026, 11, 22, 18, 30, tzinfo=timezone(timedelta(hours=1)))
        counts.frame(moment, faces=0)
        counts.frame(moment, faces=2)
        last = heard.wait_for(lambda each: each.document["last_face"]).document
        assert {name: last[name] for name in ("frames", "faces", "last_face", "waiting", "problem")} == {
            "frames": 2,
            "faces": 2,
            "last_face": "2026-11-22T17:30:00.000+00:00",
            "waiting": 2,
            "problem": "",
        }
        published_before = len(heard.heard)
        monkeypatch.setattr(status_publisher, "RENEW_SECONDS", 0.1)
        wait_until(lambda: len(heard.heard) >= published_before + 3)


def test_publishes_why_the_health_cannot_be_determined(broker, path):
    def health():
        raise OutboxError("outbox: it is damaged")

    with states(broker.port, TOPIC) as heard, publishing(broker.port, path, health):
        assert heard.wait_for(is_online).document["problem"] == "outbox: it is damaged"


def test_the_last_state_names_the_error_that_ended_the_program(broker, path):
    def run():
        with publishing(broker.port, path), states(broker.port, TOPIC) as heard:
            heard.wait_for(is_online)
            raise SourceError("front.avi: cannot be decoded")

    with pytest.raises(SourceError):
        run()
    assert retained(broker.port)["problem"] == "front.avi: cannot be decoded"


def test_publishes_only_the_newest_state_after_an_outage(path, tmp_path):
    port = free_port()
    moment = datetime(2026, 11, 22, tzinfo=timezone.utc)
    with publishing(port, path) as counts:
        with mosquitto(port=port, folder=tmp_path) as broker:
            wait_until(lambda: published(broker))
        for minute in range(10):
            counts.frame(moment + timedelta(minutes=minute), faces=1)
            time.sleep(2 * status_publisher.POLL_SECONDS)
        before = published(broker)
        with mosquitto(port=port, folder=tmp_path) as broker:
            wait_until(lambda: published(broker) > before)
            assert retained(port)["faces"] == 10
            assert published(broker) == before + 1


def test_the_program_ends_although_the_broker_is_frozen(broker, path):
    with publishing(broker.port, path), states(broker.port, TOPIC) as heard:
        heard.wait_for(is_online)
        broker.process.send_signal(signal.SIGSTOP)
        started = time.monotonic()
    try:
        assert time.monotonic() - started < 10
    finally:
        broker.process.send_signal(signal.SIGCONT)


def test_two_outboxes_of_one_camera_do_not_disconnect_each_other(broker, tmp_path):
    with publishing(broker.port, tmp_path / "one.db"), publishing(broker.port, tmp_path / "two.db"):
        wait_until(lambda: published(broker) >= 2)
        time.sleep(1.5)
        assert "taken over" not in broker.log.read_text()
        assert published(broker) == 2


def test_one_of_two_processes_of_a_camera_publishes_and_the_other_takes_over(broker, path):
    with states(broker.port, TOPIC) as heard:
        with publishing(broker.port, path):
            heard.wait_for(is_online)
            second = publishing(broker.port, path, lambda: Health.failed("of the second"))
            second.__enter__()
            time.sleep(0.5)
            assert len(heard.heard) == 1
        heard.wait_for(lambda each: each.document["problem"] == "of the second")
        assert [each.document["state"] for each in heard.heard] == ["online", "offline", "online"]
        second.__exit__(None, None, None)


def test_publishes_nothing_where_the_setting_disables_it(broker, path):
    with publishing(broker.port, path, status={"publish": False}) as counts:
        counts.frame(datetime.now(timezone.utc), faces=1)
        time.sleep(0.5)
        assert "status-" not in broker.log.read_text()


def test_a_denied_announcement_costs_no_connection(path, tmp_path):
    """At QoS 1 a message that is denied may cost the connection, and the next one too."""
    (tmp_path / "acl").write_text("topic write status/#\n")
    with (
        mosquitto(["allow_anonymous true", f"acl_file {tmp_path}/acl"]) as broker,
        publishing(broker.port, path, status={"home_assistant": True}) as counts,
    ):
        wait_until(lambda: "Denied PUBLISH" in broker.log.read_text())
        counts.frame(datetime.now(timezone.utc), faces=1)
        wait_until(lambda: published(broker) == 2)
        assert broker.log.read_text().count("as status-") == 1


def test_announces_the_camera_at_the_start_and_when_home_assistant_starts(broker, path):
    with (
        states(broker.port, "homeassistant/#") as heard,
        publishing(broker.port, path, status={"home_assistant": True}),
    ):
        first = heard.wait_for(lambda each: each.topic.endswith("/config"))
        heard.publish("homeassistant/status", "offline")
        heard.publish("homeassistant/status", "online")
        wait_until(lambda: [each.payload for each in heard.heard].count(first.payload) == 2)
        time.sleep(0.3)
        assert [each.payload for each in heard.heard].count(first.payload) == 2
        assert retained(broker.port, first.topic) == json.loads(first.payload)


def test_the_days_of_the_certificate_follow_the_file(tmp_path):
    authority = Authority(tmp_path)
    authority.issue("edge", days=5)
    own = {"certificate_file": tmp_path / "edge.crt"}
    with (
        mosquitto() as broker,
        states(broker.port, TOPIC) as heard,
        publishing(broker.port, tmp_path / "outbox.db", status=own) as counts,
    ):
        assert heard.wait_for(is_online).document["certificate_days"] == pytest.approx(5, abs=0.1)
        authority.issue("edge", days=400)
        counts.frame(datetime.now(timezone.utc), faces=1)
        renewed = heard.wait_for(lambda each: is_online(each) and each.document["faces"])
        assert renewed.document["certificate_days"] == pytest.approx(400, abs=0.1)


def test_without_a_certificate_its_days_are_unknown(tmp_path):
    with (
        mosquitto() as broker,
        states(broker.port, TOPIC) as heard,
        publishing(broker.port, tmp_path / "outbox.db"),
    ):
        assert heard.wait_for(is_online).document["certificate_days"] is None
