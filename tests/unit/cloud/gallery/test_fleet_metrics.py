"""States of cameras become metrics, whatever an edge publishes."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from face_app.cloud.gallery.edge_states import EdgeStates
from face_app.cloud.gallery.fleet_metrics import FleetCollector, GalleryCollector

ONLINE = {
    "state": "online",
    "problem": "",
    "version": "1.2.0",
    "frames": 900,
    "faces": 7,
    "waiting": 3,
    "oldest_waiting": 12.5,
    "last_stored_age": 4,
    "aside": 0,
    "outbox_fullness": 0.25,
    "frame_age": None,
    "sender": True,
    "hop_forwarder": True,
    "hop_cloud": False,
    "certificate_days": 20.5,
}


def heard(topic: str, document: dict[str, Any], *, ago: timedelta = timedelta()) -> EdgeStates:
    states = EdgeStates()
    at = (datetime.now(timezone.utc) - ago).isoformat()
    states.received(topic, json.dumps({"at": at, **document}).encode(), retained=bool(ago))
    return states


def exported(collector: Any) -> dict[str, float]:
    """Return each series, without the labels edge and camera, and its value."""
    registry = CollectorRegistry()
    registry.register(collector)
    text = generate_latest(registry).decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = {**sample.labels}
            assert (labels.pop("edge", "jetson"), labels.pop("camera", "door")) == ("jetson", "door")
            found["/".join([sample.name.removeprefix("face_app_"), *labels.values()])] = sample.value
    return found


def test_a_state_becomes_series():
    series = exported(FleetCollector(heard("status/jetson/door", ONLINE)))
    assert series.pop("fleet_state_age_seconds") < 30
    assert series.pop("fleet_last_stored_age_seconds") == pytest.approx(4, abs=30)
    assert series.pop("fleet_certificate_days") == pytest.approx(20.5, abs=0.01)
    assert series == {
        "fleet_cameras": 1,
        "fleet_ready": 1,
        "fleet_online": 1,
        "fleet_waiting": 3,
        "fleet_oldest_waiting_seconds": 12.5,
        "fleet_aside": 0,
        "fleet_outbox_fullness": 0.25,
        "fleet_frames_total": 900,
        "fleet_faces_total": 7,
        "fleet_hop/forwarder": 1,
        "fleet_hop/cloud": 0,
        "fleet_info/1.2.0": 1,
    }


def test_a_problem_is_not_ready():
    series = exported(FleetCollector(heard("status/jetson/door", ONLINE | {"problem": "no frame for 70 s"})))
    assert (series["fleet_ready"], series["fleet_online"], series["fleet_waiting"]) == (0, 1, 3)


def test_what_is_silent_has_no_measurements():
    """An old value would look as if it were measured now. The certificate may be the cause."""
    series = exported(FleetCollector(heard("status/jetson/door", ONLINE, ago=timedelta(days=2))))
    assert series.pop("fleet_state_age_seconds") == pytest.approx(2 * 86400, abs=60)
    assert series.pop("fleet_certificate_days") == pytest.approx(18.5, abs=0.01)
    assert series == {"fleet_cameras": 1, "fleet_ready": 0, "fleet_online": 1}


def test_what_is_offline_says_so():
    series = exported(FleetCollector(heard("status/jetson/door", {"state": "offline", "problem": "killed"})))
    series.pop("fleet_state_age_seconds")
    assert series == {"fleet_cameras": 1, "fleet_ready": 0, "fleet_online": 0}


def test_a_process_that_does_not_send_knows_no_hops():
    series = exported(FleetCollector(heard("status/jetson/door", ONLINE | {"sender": False, "hop_cloud": False})))
    assert not [name for name in series if name.startswith("fleet_hop")]


@pytest.mark.parametrize("value", [None, "7 days", True, [], {}, 10**400, '"\n} 1', -1])
def test_nonsense_of_an_edge_is_left_out(value):
    names = [name for name in ONLINE if name not in {"state", "problem", "sender"}]
    series = exported(FleetCollector(heard("status/jetson/door", ONLINE | dict.fromkeys(names, value))))
    assert series.pop("fleet_state_age_seconds") < 30
    unexpected = set(series) - {"fleet_cameras", "fleet_ready", "fleet_online", "fleet_info/unknown"}
    if value == -1:  # a number; a counter is not negative
        assert not [name for name in unexpected if name.endswith("_total")]
    elif value is True:
        assert unexpected == {"fleet_hop/forwarder", "fleet_hop/cloud"}
    else:
        assert unexpected == set()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_state_that_is_no_json_is_left_out(value):
    assert exported(FleetCollector(heard("status/jetson/door", ONLINE | {"waiting": value}))) == {"fleet_cameras": 0}


def test_no_edge_is_a_figure_too():
    assert exported(FleetCollector(EdgeStates())) == {"fleet_cameras": 0}


def test_the_gallery_reports_what_it_needs(world):
    series = exported(GalleryCollector(world.open()))
    assert series == {"gallery_bucket_up": 1, "gallery_broker_up": 0, "gallery_objects": 0}
